using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 to 1.4, IOMMU device, "UNMAP request". virt_end is the last byte of the range.

/// <summary>Removes every mapping that lies wholly in a range.</summary>
internal static class UnmapRequest
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 28;

    public static Field Domain => new(63, 32, "domain");

    public static Field VirtStart => new(127, 64, "virt_start");

    public static Field VirtEnd => new(191, 128, "virt_end");

    public static readonly Layout Layout = new(
        "virtio-iommu/unmap",
        256,
        RequestHead.Standard + ", UNMAP request",
        [
            RequestHead.TypeField(RequestType.Unmap, "UNMAP"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id"),
            LayoutField.Value(VirtStart, "first byte of the virtual range"),
            LayoutField.Value(VirtEnd, "last byte of the virtual range"),
            LayoutField.Reserved(223, 192, "reserved, a device may answer INVAL"),
            RequestHead.Tail(224),
        ],
        RequestHead.HasType(RequestType.Unmap),
        MapRequest.EndNotBelowStart(VirtStart, VirtEnd));
}
