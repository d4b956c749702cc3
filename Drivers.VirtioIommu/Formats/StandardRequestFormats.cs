// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 to 1.4, IOMMU device, "Device operations": the standard's requests. DriverBytes is what the driver
// writes of one: all but the tail. A range's virt_end is its last byte, not the one after it.

internal static class AttachRequest
{
    public const int DriverBytes = 20;

    /// <summary>Flag: the domain passes everything (needs BYPASS_CONFIG).</summary>
    public const uint FlagBypass = 1;
    public static Field Flags => new(127, 96, "flags", "bit 0 BYPASS");

    public static readonly Layout Layout = RequestHead.Request(
        "attach", 192, RequestHead.Standard + ", ATTACH request", RequestType.Attach, "ATTACH", [
            RequestHead.Domain, RequestHead.Endpoint,
            Value(Flags, (FlagBypass, "BYPASS")),
            Reserved(159, 128, "reserved, else INVAL"),
        ],
        RequestHead.OnlyFlags(Flags, FlagBypass));
}

internal static class DetachRequest
{
    public const int DriverBytes = 20;

    public static readonly Layout Layout = RequestHead.Request(
        "detach", 192, RequestHead.Standard + ", DETACH request", RequestType.Detach, "DETACH", [
            Value(RequestHead.Domain, "domain id"),
            RequestHead.Endpoint,
            Ignored(159, 96, "reserved, ignored by the device"),
        ]);
}

internal static class MapRequest
{
    public const int DriverBytes = 36;
    public const uint FlagRead = 1;
    public const uint FlagWrite = 2;

    /// <summary>Flag: device memory (needs the feature MMIO).</summary>
    public const uint FlagMmio = 4;
    public static Field VirtStart => new(127, 64, "virt_start", "first byte of the virtual range");
    public static Field VirtEnd => new(191, 128, "virt_end", "last byte of the virtual range");
    public static Field PhysStart => new(255, 192, "phys_start", "first byte of the physical range");
    public static Field Flags => new(287, 256, "flags", "READ 1, WRITE 2, MMIO 4");

    public static readonly Layout Layout = RequestHead.Request(
        "map", 320, RequestHead.Standard + ", MAP request", RequestType.Map, "MAP", [
            Value(RequestHead.Domain, "domain id"),
            VirtStart, VirtEnd, PhysStart,
            Value(Flags, (1, "READ"), (2, "WRITE"), (3, "READ|WRITE"), (4, "MMIO")),
        ],
        RequestHead.OnlyFlags(Flags, FlagRead | FlagWrite | FlagMmio),
        RequestHead.EndNotBelowStart(VirtStart, VirtEnd));
}

/// <summary>Removes every mapping that lies wholly in a range; the range is where MAP has it.</summary>
internal static class UnmapRequest
{
    public const int DriverBytes = 28;

    public static readonly Layout Layout = RequestHead.Request(
        "unmap", 256, RequestHead.Standard + ", UNMAP request", RequestType.Unmap, "UNMAP", [
            Value(RequestHead.Domain, "domain id"),
            MapRequest.VirtStart, MapRequest.VirtEnd,
            Reserved(223, 192, "reserved, a device may answer INVAL"),
        ],
        RequestHead.EndNotBelowStart(MapRequest.VirtStart, MapRequest.VirtEnd));
}

/// <summary>The part of a PROBE request that the driver writes; after it the device writes probe_size bytes of
/// properties, and then the tail.</summary>
internal static class ProbeRequest
{
    public const int DriverBytes = 72;
    public static Field Endpoint => new(63, 32, "endpoint", "endpoint id");

    public static readonly Layout Layout = new(
        "virtio-iommu/probe_head", 576, RequestHead.Standard + ", PROBE request", [
            .. RequestHead.Head(RequestType.Probe, "PROBE"),
            Endpoint, Reserved(575, 64),
        ],
        RequestHead.HasType(RequestType.Probe));
}

/// <summary>The last four bytes of every request, written by the device: struct virtio_iommu_req_tail.</summary>
internal static class RequestTail
{
    public const int Bytes = 4;

    public static readonly Layout Layout = new(
        "virtio-iommu/tail", 32, RequestHead.Standard + ", request tail", [
            Value(new(7, 0, "status"), "what became of the request", (0, "OK"), (1, "IOERR"), (2, "UNSUPP"),
                (3, "DEVERR"), (4, "INVAL"), (5, "RANGE"), (6, "NOENT"), (7, "FAULT"), (8, "NOMEM")),
            Ignored(31, 8, "tail.reserved"),
        ]);
}
