#!/usr/bin/env python3
"""bench/kernel_table.py: Google Benchmark's JSON of bench_kernels as a Markdown table.

usage: bench_kernels --benchmark_out=k.json --benchmark_out_format=json; kernel_table.py k.json
One line per kernel and size: million items a second of each instruction set, how many times scalar's rate that is, and the best one's bytes.
With repetitions: their median. Below the table: kernels that are slower than scalar by more than 5 %.
"""
import json
import statistics
import sys

NOISE = 0.95


def read(path):
    """{(kernel, KiB): {isa: (items/s, bytes/s)}}, kernels in the order of the file."""
    with open(path, encoding="utf-8") as file:
        runs = json.load(file)["benchmarks"]
    rates = {}
    for run in runs:
        if run.get("run_type") == "aggregate" and run["aggregate_name"] != "median":
            continue
        kernel, isa, size = run.get("run_name", run["name"]).rsplit("/", 2)
        rates.setdefault((kernel, int(size.removesuffix("KiB"))), {}).setdefault(isa, []).append(
            (run["items_per_second"], run["bytes_per_second"]))
    return {key: {isa: tuple(statistics.median(r) for r in zip(*runs)) for isa, runs in by_isa.items()}
            for key, by_isa in rates.items()}


def table(rates):
    isas = [isa for isa in ("scalar", "avx2", "avx512") if any(isa in by_isa for by_isa in rates.values())]
    lines = ["| kernel | KiB | " + " | ".join(f"{isa}, M/s" for isa in isas) + " | best, GB/s |",
             "|---|---:|" + "---:|" * (len(isas) + 1)]
    slow = []
    for (kernel, size), by_isa in rates.items():
        cells = []
        for isa in isas:
            if isa not in by_isa:
                cells.append("")
                continue
            ratio = by_isa[isa][0] / by_isa["scalar"][0] if "scalar" in by_isa else 1
            cells.append(f"{by_isa[isa][0] / 1e6:,.0f}" + ("" if isa == "scalar" else f" ({ratio:.1f}×)"))
            if ratio < NOISE:
                slow.append(f"- slower than scalar: {kernel}, {isa}, {size} KiB: {ratio:.2f}×")
        best = max(rate for _, rate in by_isa.values()) / 1e9
        lines.append(f"| {kernel} | {size} | " + " | ".join(cells) + f" | {best:.1f} |")
    return lines + [""] + (slow or ["No kernel is slower than scalar."])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(table(read(sys.argv[1]))))
