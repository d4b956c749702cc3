using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 to 1.4, IOMMU device, "Device operations": struct virtio_iommu_req_tail.

/// <summary>The last four bytes of every request, written by the device.</summary>
internal static class RequestTail
{
    public const int Bytes = 4;

    public static Field Status => new(7, 0, "status");

    public static readonly Layout Layout = new(
        "virtio-iommu/tail",
        32,
        RequestHead.Standard + ", request tail",
        [
            LayoutField.Value(
                Status,
                "what became of the request",
                (0, "OK"), (1, "IOERR"), (2, "UNSUPP"), (3, "DEVERR"), (4, "INVAL"), (5, "RANGE"), (6, "NOENT"),
                (7, "FAULT"), (8, "NOMEM")),
            LayoutField.Ignored(31, 8, "tail.reserved"),
        ]);
}
