// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 to 1.4, IOMMU device, "Device operations" (device-types/iommu/description.tex, commit 15f488c).
// Every request starts with {type u8, reserved[3]}, written by the driver, and ends with a tail written by the device.

internal static class RequestHead
{
    /// <summary>Writes a request: its type, these fields, and zeros.</summary>
    public static Span<ulong> Encode(
        Span<ulong> words, Layout layout, RequestType type, params ReadOnlySpan<(Field Field, ulong Value)> fields)
    {
        words = words[..layout.Words];
        words.Clear();
        words.Set(Type, (ulong)type);
        foreach ((Field field, ulong value) in fields)
        {
            words.Set(field, value);
        }

        return words;
    }

    /// <summary>Bytes as words; a shorter structure reads as zeros behind its end, a longer one is cut.</summary>
    public static void Load(ReadOnlySpan<byte> bytes, Span<ulong> words)
    {
        Span<byte> word = stackalloc byte[8];
        for (int i = 0; i < words.Length; i++)
        {
            word.Clear();
            bytes[..Math.Min(bytes.Length, 8)].CopyTo(word);
            bytes = bytes[Math.Min(bytes.Length, 8)..];
            words[i] = BinaryPrimitives.ReadUInt64LittleEndian(word);
        }
    }

    /// <summary>The standard, as <see cref="Layout.Source"/> names it.</summary>
    public const string Standard = "OASIS virtio 1.2 to 1.4, IOMMU device";
    public const string ProposalA = "PROPOSAL A, not standard: J.-P. Brucker, v0.7 era header of a QEMU tree (2018)";
    public const string ProposalB = "PROPOSAL B, not standard: J.-P. Brucker, v0.9-devel header of the Linux branch";
    public const string ProposalC = "PROPOSAL C, not standard: V. Gautam, RFC v1 (LKML 2021-01-15)";
    public const string ProposalD = "PROPOSAL D, not standard: V. Gautam, page request RFC (LKML 2021-04-23)";
    public const string ProposalE = "PROPOSAL E, not standard: later draft, Qualcomm tree header and vSMMU driver";
    public static Field Type => new(7, 0, "type", "request type");

    /// <summary>Where every request about one endpoint of a domain names the domain.</summary>
    public static Field Domain => new(63, 32, "domain", "domain id, chosen by the driver");

    /// <summary>Where it names the endpoint.</summary>
    public static Field Endpoint => new(95, 64, "endpoint", "endpoint id");

    /// <summary>A request: head and tail around the fields of its own, and the rule that it has its type.</summary>
    /// <param name="id">Its id without the driver's prefix.</param>
    /// <param name="bits">Head and tail included.</param>
    public static Layout Request(
        string id,
        int bits,
        string source,
        RequestType type,
        string name,
        LayoutField[] fields,
        params LayoutRule[] rules) => new(
        "virtio-iommu/" + id,
        bits,
        source,
        [
            .. Head(type, name),
            .. fields,
            Ignored(bits - 1, bits - 32, "tail, written by the device (virtio-iommu/tail)"),
        ],
        [HasType(type), .. rules]);

    /// <summary>A proposal's request that puts an endpoint into a domain with tables in memory.</summary>
    public static Layout AttachTable(
        string id, int bits, string source, LayoutField[] fields, params LayoutRule[] rules) => Request(
        id,
        bits,
        source,
        RequestType.AttachTable,
        "ATTACH_TABLE",
        [
            Domain, Endpoint,
            .. fields,
        ],
        rules);

    /// <summary>Type and reserved bytes. A wrong type can be written and is found.</summary>
    public static LayoutField[] Head(RequestType type, string name) =>
    [
        Value(Type, ((ulong)type, name)),
        Ignored(31, 8, "head.reserved, ignored by the device"),
    ];

    /// <summary>The rule that a structure has the type that its id says.</summary>
    public static LayoutRule HasType(RequestType type) => HasValue(Type, (ulong)type);

    /// <summary>The rule that a field has the one value that makes the structure what its id says.</summary>
    public static LayoutRule HasValue(Field field, ulong value) => (words, found) =>
    {
        ulong actual = words.Get(field);
        if (actual != value)
        {
            found.Add(new Violation(field.Mnemonic, Text($"is {actual}, must be {value} here")));
        }
    };

    /// <summary>The rule that a field has one of the known values, which run from a first to a last.</summary>
    public static LayoutRule OnlyValues(Field field, ulong first, ulong last) => (words, found) =>
    {
        ulong actual = words.Get(field);
        if (actual < first || actual > last)
        {
            found.Add(new Violation(field.Mnemonic, Text($"is {actual}, known are {first} to {last}")));
        }
    };

    /// <summary>The rule that a field has one of a few values.</summary>
    public static LayoutRule OneOf(Field field, params ulong[] known) => (words, found) =>
    {
        ulong actual = words.Get(field);
        if (!known.Contains(actual))
        {
            found.Add(new Violation(field.Mnemonic, Text($"is {actual}, known are {string.Join(", ", known)}")));
        }
    };

    /// <summary>The rule that a range's last byte is not below its first.</summary>
    public static LayoutRule EndNotBelowStart(Field start, Field end) => (words, found) =>
    {
        if (words.Get(end) < words.Get(start))
        {
            found.Add(new Violation(end.Mnemonic, Text(
                $"0x{words.Get(end):x} is below {start.Mnemonic} 0x{words.Get(start):x}; it is the last byte")));
        }
    };

    /// <summary>The rule that a flags field has no bits beyond the known ones.</summary>
    public static LayoutRule OnlyFlags(Field field, ulong known) => (words, found) =>
    {
        ulong unknown = words.Get(field) & ~known;
        if (unknown != 0)
        {
            found.Add(new Violation(field.Mnemonic, Text($"has unknown bits 0x{unknown:x}, known are 0x{known:x}")));
        }
    };
}

/// <summary>Request types. 6, 7 and 8 are proposals; other dialects give the same numbers to other requests.</summary>
internal enum RequestType : byte
{
    Attach = 1,
    Detach = 2,
    Map = 3,
    Unmap = 4,
    Probe = 5,

    /// <summary>Proposals A, B, C, E: puts an endpoint into a domain with tables in memory.</summary>
    AttachTable = 6,

    /// <summary>Proposals A, B, C, E: invalidates what the device caches of such tables.</summary>
    Invalidate = 7,

    /// <summary>Proposal D: answers a page request.</summary>
    PageResponse = 8,
}
