// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 to 1.4, IOMMU device, "PROBE properties": {type u16 (its low 12 bits), length u16, value[length]}, a
// type of 0 ends the list. Only RESV_MEM is standard.

internal static class ProbeProperty
{
    public const int HeadBytes = 4;

    /// <summary>The bits of the type that count.</summary>
    public const int TypeMask = 0xFFF;

    public const int TypeNone = 0;
    public static Field Type => new(15, 0, "type", "property type, its low 12 bits");
    public static Field Length => new(31, 16, "length");

    /// <summary>A property: type and length around the fields of its value, and the rule that it has both.</summary>
    /// <param name="id">Its id without the driver's prefix.</param>
    /// <param name="bits">Type and length included.</param>
    public static Layout Property(
        string id, int bits, string source, int number, string name, LayoutField[] value, params LayoutRule[] rules)
    {
        int bytes = (bits / 8) - HeadBytes;
        return new(
            "virtio-iommu/" + id,
            bits, source,
            [
                Value(Type, ((ulong)number, name)),
                Value(Length, Text($"bytes after this field, {bytes}")),
                .. value,
            ],
            [HasTypeAndLength(number, bytes), .. rules]);
    }

    /// <summary>A property of proposal B. The value layouts of all of them are ASSUMED: the sources at hand give names
    /// and numbers only.</summary>
    public static Layout ProposalB(int number, string name, int bits, LayoutField[] value, params LayoutRule[] rules) =>
        Property(
            $"proposalB/{name.ToLowerInvariant()}_property", bits,
            RequestHead.ProposalB + $", property {name}; value layout assumed", number, name, value, rules);

    private static LayoutRule HasTypeAndLength(int number, int bytes) => (words, found) =>
    {
        ulong type = words.Get(Type) & TypeMask;
        if (type != (ulong)number)
        {
            found.Add(new Violation(Type.Mnemonic, Text($"is {type} in its low 12 bits, this property has {number}")));
        }

        if (words.Get(Length) != (ulong)bytes)
        {
            found.Add(new Violation(Length.Mnemonic, Text($"is {words.Get(Length)}, this property has {bytes}")));
        }
    };
}

/// <summary>A range of addresses that no mapping may use (standard property 1).</summary>
internal static class ResvMemProperty
{
    public const int TypeNumber = 1;
    public static Field Subtype => new(39, 32, "subtype", "0 reserved, 1 MSI");
    public static Field Start => new(127, 64, "start", "first byte of the range");
    public static Field End => new(191, 128, "end", "last byte of the range");

    public static readonly Layout Layout = ProbeProperty.Property(
        "resv_mem_property", 192, RequestHead.Standard + ", property RESV_MEM", TypeNumber, "RESV_MEM", [
            Value(Subtype, (0, "RESERVED"), (1, "MSI")),
            Reserved(63, 40), Start, End,
        ],
        RequestHead.OnlyValues(Subtype, 0, 1),
        RequestHead.EndNotBelowStart(Start, End));
}
