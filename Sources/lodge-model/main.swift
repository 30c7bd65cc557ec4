// lodge-model: the owner's tool; reads plaintext checkpoints and makes the parties' files.

import Arguments

Command(
  "lodge-model", summary: "converts a trained transformer for two-party inference",
  details: "Run by the model's owner: it reads plaintext weights.",
  example: """
    lodge-model convert opt-125m --text book.txt --out served
    lodge-model inspect opt-125m
    lodge-model approximate opt-125m --tokens calibration.json --out opt.lodge
    lodge-model share opt.lodge --out shares
    """,
  subcommands: [
    convertCommand, inspectCommand, logitsCommand, recipesCommand, calibrateCommand,
    functionsCommand, sparsifyCommand, approximateCommand, shareCommand,
  ]
).main()
