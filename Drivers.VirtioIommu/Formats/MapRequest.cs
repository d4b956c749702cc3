using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 to 1.4, IOMMU device, "MAP request". virt_end is the last byte of the range, not the one after it.

/// <summary>Adds a mapping to a domain.</summary>
internal static class MapRequest
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 36;

    public const uint FlagRead = 1;

    public const uint FlagWrite = 2;

    /// <summary>Flag: device memory (needs the feature MMIO).</summary>
    public const uint FlagMmio = 4;

    public static Field Domain => new(63, 32, "domain");

    public static Field VirtStart => new(127, 64, "virt_start");

    public static Field VirtEnd => new(191, 128, "virt_end");

    public static Field PhysStart => new(255, 192, "phys_start");

    public static Field Flags => new(287, 256, "flags");

    public static readonly Layout Layout = new(
        "virtio-iommu/map",
        320,
        RequestHead.Standard + ", MAP request",
        [
            RequestHead.TypeField(RequestType.Map, "MAP"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id"),
            LayoutField.Value(VirtStart, "first byte of the virtual range"),
            LayoutField.Value(VirtEnd, "last byte of the virtual range"),
            LayoutField.Value(PhysStart, "first byte of the physical range"),
            LayoutField.Value(
                Flags, "READ 1, WRITE 2, MMIO 4", (1, "READ"), (2, "WRITE"), (3, "READ|WRITE"), (4, "MMIO")),
            RequestHead.Tail(288),
        ],
        RequestHead.HasType(RequestType.Map),
        RequestHead.OnlyFlags(Flags, FlagRead | FlagWrite | FlagMmio),
        EndNotBelowStart(VirtStart, VirtEnd));

    /// <summary>The rule that a range's last byte is not below its first.</summary>
    internal static LayoutRule EndNotBelowStart(Field start, Field end) => (words, found) =>
    {
        if (words.Get(end) < words.Get(start))
        {
            found.Add(new Violation(end.Mnemonic, Text(
                $"0x{words.Get(end):x} is below {start.Mnemonic} 0x{words.Get(start):x}; it is the last byte")));
        }
    };
}
