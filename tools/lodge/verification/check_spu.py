"""Opens an export to SPU with the real `spu` wheel, and multiplies a weight with itself transposed on
shares in two parties.

    tools/development/check-spu EXPORT WEIGHT

Prints the weight that both shares give, and the product, as JSON. Only the wheel's own library is
loaded, since its Python package would ask for JAX.
"""

import argparse
import importlib.util
import json
import pathlib
import sys
import threading
import types

import numpy

PRODUCT = """
module @product {{
  func.func @main(%a: tensor<{rows}x{columns}xf32>) -> tensor<{rows}x{rows}xf32> {{
    %0 = stablehlo.dot_general %a, %a, contracting_dims = [1] x [1]
      : (tensor<{rows}x{columns}xf32>, tensor<{rows}x{columns}xf32>) -> tensor<{rows}x{rows}xf32>
    return %0 : tensor<{rows}x{rows}xf32>
  }}
}}
"""


def library():
    """spu.libspu without the package around it."""
    place = importlib.util.find_spec("spu")
    if place is None:
        print("check-spu: error: the wheel spu is not installed", file=sys.stderr)
        print("check-spu: hint: tools/setup --tests", file=sys.stderr)
        raise SystemExit(69)
    package = types.ModuleType("spu")
    package.__path__ = list(place.submodule_search_locations)
    sys.modules["spu"] = package
    return importlib.import_module("spu.libspu")


def share(spu, folder, entry):
    result = spu.Share()
    result.meta = (folder / entry["meta"]).read_bytes()
    result.share_chunks = [(folder / chunk).read_bytes() for chunk in entry["chunks"]]
    return result


def main():
    parser = argparse.ArgumentParser(
        prog="tools/development/check-spu", description=__doc__.split("\n\n")[0])
    parser.add_argument("--available", action="store_true", help="tell by the status whether SPU is there")
    parser.add_argument("export", nargs="?", type=pathlib.Path, help="folder that lodge-model export wrote")
    parser.add_argument("weight", nargs="?", help="name of a matrix")
    arguments = parser.parse_args()
    spu = library()
    if arguments.available:
        return
    if arguments.weight is None:
        parser.error("EXPORT and WEIGHT are needed")

    folders = [arguments.export / f"party{party}" for party in range(2)]
    indices = [json.loads((folder / "index.json").read_text()) for folder in folders]
    entries = [index["weights"][arguments.weight] for index in indices]
    shares = [share(spu, folder, entry) for folder, entry in zip(folders, entries)]
    rows, columns = entries[0]["shape"]

    config = spu.RuntimeConfig(
        protocol=spu.ProtocolKind.SEMI2K, field=spu.FieldType.FM64,
        fxp_fraction_bits=indices[0]["fractionalBits"])
    values = spu.IoWrapper(2, config).Reconstruct(shares)

    source = spu.CompilationSource(
        spu.SourceIRType.STABLEHLO, PRODUCT.format(rows=rows, columns=columns).encode(),
        [spu.Visibility.VIS_SECRET])
    code = spu.compile(source, spu.CompilerOptions())
    program = spu.Executable("product", ["weight"], ["product"], code)
    link = spu.link.Desc()
    for party in range(2):
        link.add_party(f"party{party}", f"memory{party}")
    products = [None, None]

    def run(party):
        runtime = spu.RuntimeWrapper(spu.link.create_mem(link, party), config)
        runtime.SetVar("weight", shares[party])
        runtime.Run(program)
        products[party] = runtime.GetVar("product")

    threads = [threading.Thread(target=run, args=(party,)) for party in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    product = spu.IoWrapper(2, config).Reconstruct(products)
    json.dump({
        "values": numpy.asarray(values, float).ravel().tolist(),
        "product": numpy.asarray(product, float).ravel().tolist(),
    }, sys.stdout)


if __name__ == "__main__":
    main()
