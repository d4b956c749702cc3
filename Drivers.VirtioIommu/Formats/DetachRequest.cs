using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 to 1.4, IOMMU device, "DETACH request".

/// <summary>Takes an endpoint out of its domain.</summary>
internal static class DetachRequest
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 20;

    public static Field Domain => new(63, 32, "domain");

    public static Field Endpoint => new(95, 64, "endpoint");

    public static readonly Layout Layout = new(
        "virtio-iommu/detach",
        192,
        RequestHead.Standard + ", DETACH request",
        [
            RequestHead.TypeField(RequestType.Detach, "DETACH"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id"),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Ignored(159, 96, "reserved, ignored by the device"),
            RequestHead.Tail(160),
        ],
        RequestHead.HasType(RequestType.Detach));
}
