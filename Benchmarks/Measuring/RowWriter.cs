// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Measuring;

/// <summary>Writes one line per case: <c>round,lang,impl,workload,live,threads,ns,note</c>.</summary>
internal sealed class RowWriter(TextWriter output, int round)
{
    /// <summary>Writes a line.</summary>
    /// <param name="implementation">Begins with <c>project</c>.</param>
    /// <param name="workload">One of the yardsticks' names, or one of our own.</param>
    /// <param name="live">How many were live.</param>
    /// <param name="nanoseconds">Per operation; of several threads per operation of all together. 0 where too little
    /// was measured undisturbed.</param>
    /// <param name="note">Such as <c>0.0 B/op</c>; without commas.</param>
    public void Write(
        string implementation, string workload, int live, int threads, double nanoseconds, string note = "")
    {
        output.WriteLine(Text(
            $"{round},C#,{implementation},{workload},{live},{threads},{nanoseconds:F4},{note.Replace(',', ';')}"));
        output.Flush();
    }

    /// <summary>The note of a case that allocates so many bytes an operation.</summary>
    public static string BytesEach(long bytes, long operations) => Text($"{(double)bytes / operations:F1} B/op");
}
