// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Benchmarks.Measuring;

namespace PasidFramework.Benchmarks.Rows;

/// <summary>One implementation with what is measured of it.</summary>
/// <param name="Name">What stands in column <c>impl</c>.</param>
/// <param name="Workloads">What may stand in column <c>workload</c>.</param>
/// <param name="Measure">Measures all of them.</param>
internal sealed record Row(string Name, string[] Workloads, Action<RowContext> Measure);

/// <summary>What a row measures with.</summary>
/// <param name="Row">The row.</param>
/// <param name="Writer">Where lines go.</param>
internal sealed record RowContext(Row Row, RowWriter Writer, Effort Effort)
{
    /// <summary>Writes a line of the row.</summary>
    /// <exception cref="InvalidOperationException">The row does not announce the workload.</exception>
    public void Write(string workload, int live, int threads, (double Nanoseconds, string Note) result)
    {
        if (!Row.Workloads.Contains(workload))
        {
            throw new InvalidOperationException($"{Row.Name} does not announce workload {workload}.");
        }

        Writer.Write(Row.Name, workload, live, threads, result.Nanoseconds, result.Note);
    }
}
