// SPDX-License-Identifier: Apache-2.0
using System.IO.Compression;

namespace PasidFramework.Comparison.Tests;

internal static class TestData
{
    public static string Vectors => Path.Combine(AppContext.BaseDirectory, "Vectors");

    public static string BundledTrace =>
        Path.Combine(AppContext.BaseDirectory, "data", "traces", "dotnet-build.trace.gz");

    public static string BundledScenario => Path.Combine(AppContext.BaseDirectory, "data", "scenarios", "default.json");

    public static InputResult<Trace> ReadTrace(byte[] bytes) => TraceReader.Read(new MemoryStream(bytes), "t.trace");
    public static InputResult<Trace> ReadTrace(string text) => ReadTrace(Encoding.UTF8.GetBytes(text));

    public static Trace ReadBundledTrace()
    {
        using FileStream stream = File.OpenRead(BundledTrace);
        return Require(TraceReader.Read(stream, BundledTrace));
    }

    public static Scenario ReadScenario(string json) => Require(ScenarioReader.Read(
        new MemoryStream(Encoding.UTF8.GetBytes(json)), "s.json"));

    public static T Require<T>(InputResult<T> result)
        where T : class
    {
        Assert.True(result.IsOk, result.Error?.ToString());
        return result.Value!;
    }

    public static byte[] Gzip(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            gzip.Write(bytes);
        }

        return packed.ToArray();
    }
}
