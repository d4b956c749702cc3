// SPDX-License-Identifier: Apache-2.0
// Arm IHI 0070 (SMMUv3), issue H.a era, sections 5.1 "Level 1 Stream Table Descriptor" and 5.3 "Level 1 Context
// Descriptor": 64 bits each.

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Descriptor of the first level of a context descriptor table.</summary>
internal static class L1ContextDescriptor
{
    public const int Bytes = 8;
    public static Field V => new(0, 0, "V", "the leaf exists");
    public static Field L2Ptr => new(55, 12, "L2Ptr", "leaf: 64 or 1024 context descriptors");

    public static readonly Layout Layout = new("arm-smmuv3/l1_cd_desc", 64, "Arm IHI 0070 5.3", [
        V, Reserved(11, 1), Address(L2Ptr), Reserved(63, 56),
    ]);
}

/// <summary>Descriptor of the first level of a stream table.</summary>
internal static class L1StreamDescriptor
{
    public const int Bytes = 8;
    public static Field Span => new(4, 0, "Span", "0: invalid; else the leaf has 2^(Span-1) stream table entries");
    public static Field L2Ptr => new(55, 6, "L2Ptr", "leaf: stream table entries");

    public static readonly Layout Layout = new("arm-smmuv3/l1_stream_desc", 64, "Arm IHI 0070 5.1", [
        Value(Span).Reads(span => span == 0 ? "invalid" : Text($"{1L << ((int)span - 1)} entries")),
        Reserved(5, 5), Address(L2Ptr), Reserved(63, 56),
    ], Check);

    private static void Check(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        // SPLIT is 6, 8 or 10 and Span at most SPLIT + 1.
        ulong span = words.Get(Span);
        if (span > 11)
        {
            found.Add(Span, $"is {span}, the limit is SPLIT + 1, at most 11 (5.1)");
        }
    }
}
