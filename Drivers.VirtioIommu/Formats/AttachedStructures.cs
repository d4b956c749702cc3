// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Formats;

/// <summary>The SMMUv3 structures that an attached table is made of (Arm IHI 0070 5.2 to 5.4), by the layouts of
/// whoever reads such tables: no bit of them is declared here.</summary>
/// <exception cref="ArgumentException">A structure or a field is missing.</exception>
internal sealed class AttachedStructures(ITableReader reader)
{
    /// <summary>The tables' format, by the name under which a plug-in exports its writer and its reader.</summary>
    public const string FormatName = "arm-smmuv3";

    /// <summary>Size of a context descriptor in bytes.</summary>
    public const int DescriptorBytes = 64;

    private const string Ste = "arm-smmuv3/ste";
    private const string Link = "arm-smmuv3/l1_cd_desc";
    private const string Cd = "arm-smmuv3/cd";

    /// <summary>Size of a context descriptor in words.</summary>
    public const int DescriptorWords = DescriptorBytes / 8;

    public ITableReader Reader => reader;

    // The stream table entry of proposal E.
    public Field EntryV { get; } = Find(reader, Ste, "V");
    public Field EntryConfig { get; } = Find(reader, Ste, "Config");
    public Field EntryS1Fmt { get; } = Find(reader, Ste, "S1Fmt");
    public Field EntryS1ContextPtr { get; } = Find(reader, Ste, "S1ContextPtr");
    public Field EntryS1CDMax { get; } = Find(reader, Ste, "S1CDMax");
    public Field EntryS1DSS { get; } = Find(reader, Ste, "S1DSS");
    public Field EntryS1STALLD { get; } = Find(reader, Ste, "S1STALLD");
    public Field EntryEATS { get; } = Find(reader, Ste, "EATS");

    // The first level of a table.
    public Field LinkV { get; } = Find(reader, Link, "V");
    public Field LinkL2Ptr { get; } = Find(reader, Link, "L2Ptr");

    /// <summary>Bits of a first-level descriptor that must be 0.</summary>
    public ulong LinkReserved => ~(LinkV.WordMask | LinkL2Ptr.WordMask);

    // The context descriptor.
    public Field V { get; } = Find(reader, Cd, "V");
    public Field T0SZ { get; } = Find(reader, Cd, "T0SZ");
    public Field TG0 { get; } = Find(reader, Cd, "TG0");
    public Field TTB0 { get; } = Find(reader, Cd, "TTB0");
    public Field IPS { get; } = Find(reader, Cd, "IPS");
    public Field EPD0 { get; } = Find(reader, Cd, "EPD0");
    public Field EPD1 { get; } = Find(reader, Cd, "EPD1");
    public Field ENDI { get; } = Find(reader, Cd, "ENDI");
    public Field TBI0 { get; } = Find(reader, Cd, "TBI0");
    public Field AFFD { get; } = Find(reader, Cd, "AFFD");
    public Field AA64 { get; } = Find(reader, Cd, "AA64");
    public Field HA { get; } = Find(reader, Cd, "HA");
    public Field HD { get; } = Find(reader, Cd, "HD");
    public Field S { get; } = Find(reader, Cd, "S");
    public Field R { get; } = Find(reader, Cd, "R");
    public Field A { get; } = Find(reader, Cd, "A");
    public Field ASID { get; } = Find(reader, Cd, "ASID");
    public Field HAD0 { get; } = Find(reader, Cd, "HAD0");
    public Field DS { get; } = Find(reader, Cd, "DS");
    public Field MAIR { get; } = Find(reader, Cd, "MAIR");

    /// <summary>The structures of a reader; null where there is none.</summary>
    public static AttachedStructures? Of(ITableReader? reader) => reader is null ? null
        : new AttachedStructures(reader);

    private static Field Find(ITableReader reader, string structure, string mnemonic) =>
        reader.Structures.FirstOrDefault(layout => layout.Id == structure)?.Find(mnemonic)?.Parts[0]
        ?? throw new ArgumentException(
            $"The reader of '{reader.Name}' tables declares no field {mnemonic} of {structure}.");
}
