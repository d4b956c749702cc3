// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Contracts;
using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

/// <summary>
/// The SMMUv3 structures that an attached table is made of (Arm IHI 0070 5.2 to 5.4), by the layouts of whoever reads
/// such tables: no bit of them is declared here.
/// </summary>
internal sealed class AttachedStructures
{
    /// <summary>Size of a context descriptor in bytes.</summary>
    public const int DescriptorBytes = 64;

    /// <summary>Size of a context descriptor in words.</summary>
    public const int DescriptorWords = DescriptorBytes / 8;

    private readonly Dictionary<string, Layout> _layouts;

    /// <summary>Takes the structures of a reader.</summary>
    /// <exception cref="ArgumentException">A structure or a field is missing.</exception>
    public AttachedStructures(ITableReader reader)
    {
        Reader = reader;
        _layouts = reader.Structures.ToDictionary(layout => layout.Id, StringComparer.Ordinal);
        const string Ste = "arm-smmuv3/ste";
        (EntryV, EntryConfig, EntryS1Fmt) = (Find(Ste, "V"), Find(Ste, "Config"), Find(Ste, "S1Fmt"));
        (EntryS1ContextPtr, EntryS1CDMax, EntryS1DSS) =
            (Find(Ste, "S1ContextPtr"), Find(Ste, "S1CDMax"), Find(Ste, "S1DSS"));
        (EntryS1STALLD, EntryEATS) = (Find(Ste, "S1STALLD"), Find(Ste, "EATS"));
        const string Link = "arm-smmuv3/l1_cd_desc";
        (LinkV, LinkL2Ptr) = (Find(Link, "V"), Find(Link, "L2Ptr"));
        LinkReserved = ~(LinkV.WordMask | LinkL2Ptr.WordMask);
        const string Cd = "arm-smmuv3/cd";
        (V, T0SZ, TG0, TTB0, IPS) = (Find(Cd, "V"), Find(Cd, "T0SZ"), Find(Cd, "TG0"), Find(Cd, "TTB0"), Find(Cd, "IPS"));
        (EPD0, EPD1, ENDI, TBI0, AFFD) =
            (Find(Cd, "EPD0"), Find(Cd, "EPD1"), Find(Cd, "ENDI"), Find(Cd, "TBI0"), Find(Cd, "AFFD"));
        (AA64, HA, HD, S, R) = (Find(Cd, "AA64"), Find(Cd, "HA"), Find(Cd, "HD"), Find(Cd, "S"), Find(Cd, "R"));
        (A, ASID, HAD0, DS, MAIR) = (Find(Cd, "A"), Find(Cd, "ASID"), Find(Cd, "HAD0"), Find(Cd, "DS"), Find(Cd, "MAIR"));
    }

    /// <summary>The reader.</summary>
    public ITableReader Reader { get; }

    // The stream table entry of proposal E.
    public Field EntryV { get; }

    public Field EntryConfig { get; }

    public Field EntryS1Fmt { get; }

    public Field EntryS1ContextPtr { get; }

    public Field EntryS1CDMax { get; }

    public Field EntryS1DSS { get; }

    public Field EntryS1STALLD { get; }

    public Field EntryEATS { get; }

    // The first level of a table.
    public Field LinkV { get; }

    public Field LinkL2Ptr { get; }

    /// <summary>Bits of a first-level descriptor that must be 0.</summary>
    public ulong LinkReserved { get; }

    // The context descriptor.
    public Field V { get; }

    public Field T0SZ { get; }

    public Field TG0 { get; }

    public Field TTB0 { get; }

    public Field IPS { get; }

    public Field EPD0 { get; }

    public Field EPD1 { get; }

    public Field ENDI { get; }

    public Field TBI0 { get; }

    public Field AFFD { get; }

    public Field AA64 { get; }

    public Field HA { get; }

    public Field HD { get; }

    public Field S { get; }

    public Field R { get; }

    public Field A { get; }

    public Field ASID { get; }

    public Field HAD0 { get; }

    public Field DS { get; }

    public Field MAIR { get; }

    /// <summary>The structures of a reader; null where there is none.</summary>
    public static AttachedStructures? Of(ITableReader? reader) => reader is null ? null : new AttachedStructures(reader);

    private Field Find(string structure, string mnemonic) =>
        _layouts.GetValueOrDefault(structure)?.Find(mnemonic)?.Parts[0] ?? throw new ArgumentException(
            $"The reader of '{Reader.Name}' tables declares no field {mnemonic} of {structure}.");
}
