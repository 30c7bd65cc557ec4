"""What tools/measure/ runs: times, sizes and accuracy of real runs beside their predictions."""
