"""The pages of tools/report: their text and tables in Python, their charts in charts.js."""
