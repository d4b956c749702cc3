// SPDX-License-Identifier: Apache-2.0
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using PasidFramework.Records;

namespace PasidFramework.Benchmarks;

/// <summary>
/// Whether a field that is declared once, as the specification prints it, costs what a hand-written shift costs: the
/// ratio to the baseline is the answer. The bits are those of a VT-d PASID entry (D51397-018, section 9.6).
/// </summary>
[MemoryDiagnoser]
[GroupBenchmarksBy(BenchmarkLogicalGroupRule.ByCategory)]
[CategoriesColumn]
public class FieldBenchmarks
{
    private const int Operations = 1024;
    private readonly ulong[] _words = new ulong[8];
    private readonly ulong[] _values = new ulong[Operations];
    private static Field P => new(0, 0, "P");
    private static Field AW => new(4, 2, "AW");
    private static Field PGTT => new(8, 6, "PGTT");
    private static Field DID => new(79, 64, "DID");
    private static Field PWSNP => new(87, 87, "PWSNP");
    private static Field SRE => new(128, 128, "SRE");
    private static Field FSPTPTR => new(191, 140, "FSPTPTR");

    [GlobalSetup]
    public void Fill()
    {
        var random = new Random(1);
        for (int i = 0; i < Operations; i++)
        {
            _values[i] = (ulong)random.Next(1 << 16);
        }
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Operations)]
    [BenchmarkCategory("one field")]
    public ulong ShiftByHand()
    {
        Span<ulong> words = _words;
        foreach (ulong value in _values)
        {
            words[1] = (words[1] & ~0xFFFFUL) | (value & 0xFFFF);
        }

        return words[1];
    }

    [Benchmark(OperationsPerInvoke = Operations)]
    [BenchmarkCategory("one field")]
    public ulong SetDeclaredField()
    {
        Span<ulong> words = _words;
        foreach (ulong value in _values)
        {
            words.Set(DID, value);
        }

        return words[1];
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Operations)]
    [BenchmarkCategory("whole entry")]
    public ulong EntryByHand()
    {
        Span<ulong> words = _words;
        foreach (ulong value in _values)
        {
            words[0] = (words[0] & ~0x1UL) | 1;
            words[0] = (words[0] & ~0x1CUL) | (2UL << 2);
            words[0] = (words[0] & ~0x1C0UL) | (1UL << 6);
            words[1] = (words[1] & ~0xFFFFUL) | (value & 0xFFFF);
            words[1] = (words[1] & ~(1UL << 23)) | (1UL << 23);
            words[2] = (words[2] & ~0x1UL) | 1;
            words[2] = (words[2] & 0xFFFUL) | ((value << 12) & ~0xFFFUL);
        }

        return words[2];
    }

    [Benchmark(OperationsPerInvoke = Operations)]
    [BenchmarkCategory("whole entry")]
    public ulong EntryDeclared()
    {
        Span<ulong> words = _words;
        foreach (ulong value in _values)
        {
            words.Set(P, 1);
            words.Set(AW, 2);
            words.Set(PGTT, 1);
            words.Set(DID, value);
            words.Set(PWSNP, 1);
            words.Set(SRE, 1);
            words.SetAddress(FSPTPTR, value << 12);
        }

        return words[2];
    }
}
