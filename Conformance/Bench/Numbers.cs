// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Bench;

/// <summary>PASIDs worth trying.</summary>
internal static class Numbers
{
    // Ends and beginnings of leaves of 64, 256 and 1024 entries, of directories, of the whole space, and some in
    // between.
    private static readonly uint[] s_boundaries =
        [1, 63, 64, 65, 255, 256, 0x12345, 4095, 4096, 1023, 1024, 0x5A5A5, 0xFFFFE, 0xFFFFF];

    /// <summary>A PASID that a unit has and may allocate: the preferred one, or the nearest above, or below.</summary>
    /// <param name="taken">PASIDs that are in use already.</param>
    public static uint Near(CaseContext context, IIommuUnit unit, uint preferred, params uint[] taken)
    {
        uint last = (1u << unit.PasidBits) - 1;
        int from = (int)Math.Min(preferred, last);
        HashSet<uint> not = [.. unit.ReservedPasids.Select(p => p.Value), .. taken];
        foreach (int n in Enumerable.Range(from, (int)last - from + 1).Concat(Enumerable.Range(1, from).Reverse()))
        {
            if (!not.Contains((uint)n))
            {
                return (uint)n;
            }
        }

        context.NotApplicable(Text($"the unit has {unit.PasidBits} bits: too few PASIDs for this case"));
        return 0;
    }

    /// <summary>The boundaries that the unit can carry and may allocate; its own last PASID is always among
    /// them.</summary>
    public static IReadOnlyList<uint> For(TestBench bench)
    {
        uint last = (1u << bench.Unit.PasidBits) - 1;
        HashSet<uint> reserved = [.. bench.Unit.ReservedPasids.Select(p => p.Value)];
        return [.. s_boundaries.Append(last).Where(n => n <= last && !reserved.Contains(n)).Distinct()];
    }
}
