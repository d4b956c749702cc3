using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 to 1.4, IOMMU device, "PROBE request". The driver writes 72 bytes; the device writes probe_size
// bytes of properties after them, and then the tail.

/// <summary>The part of a PROBE request that the driver writes.</summary>
internal static class ProbeRequest
{
    /// <summary>Bytes that the driver writes.</summary>
    public const int DriverBytes = 72;

    public static Field Endpoint => new(63, 32, "endpoint");

    public static readonly Layout Layout = new(
        "virtio-iommu/probe_head",
        576,
        RequestHead.Standard + ", PROBE request",
        [
            RequestHead.TypeField(RequestType.Probe, "PROBE"),
            RequestHead.Reserved(),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Reserved(575, 64),
        ],
        RequestHead.HasType(RequestType.Probe));
}
