using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 to 1.4, IOMMU device, "ATTACH request".

/// <summary>Puts an endpoint into a domain of mappings.</summary>
internal static class AttachRequest
{
    /// <summary>Bytes that the driver writes: all but the tail.</summary>
    public const int DriverBytes = 20;

    /// <summary>Flag: the domain passes everything (needs BYPASS_CONFIG).</summary>
    public const uint FlagBypass = 1;

    public static Field Domain => new(63, 32, "domain");

    public static Field Endpoint => new(95, 64, "endpoint");

    public static Field Flags => new(127, 96, "flags");

    public static readonly Layout Layout = new(
        "virtio-iommu/attach",
        192,
        RequestHead.Standard + ", ATTACH request",
        [
            RequestHead.TypeField(RequestType.Attach, "ATTACH"),
            RequestHead.Reserved(),
            LayoutField.Value(Domain, "domain id, chosen by the driver"),
            LayoutField.Value(Endpoint, "endpoint id"),
            LayoutField.Value(Flags, "bit 0 BYPASS", (FlagBypass, "BYPASS")),
            LayoutField.Reserved(159, 128, "reserved, else INVAL"),
            RequestHead.Tail(160),
        ],
        RequestHead.HasType(RequestType.Attach),
        RequestHead.OnlyFlags(Flags, FlagBypass));
}
