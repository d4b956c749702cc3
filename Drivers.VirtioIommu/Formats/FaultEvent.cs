// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Formats;

// OASIS virtio 1.2 to 1.4, IOMMU device, "Fault reporting". Proposal B puts a PASID into the bytes at 12, which are
// reserved in the standard; nothing says whether it is valid.

internal static class FaultEvent
{
    public const int Bytes = 24;
    public const uint FlagRead = 1;
    public const uint FlagWrite = 2;
    public const uint FlagAddress = 0x100;
    public static Field Reason => new(7, 0, "reason", "what went wrong");
    public static Field Flags => new(63, 32, "flags", "READ 1, WRITE 2, ADDRESS 0x100 (address is valid)");
    public static Field Endpoint => new(95, 64, "endpoint", "endpoint id");
    public static Field Pasid => new(127, 96, "pasid", "PASID of the access");
    public static Field Address => new(191, 128, "address", "untranslated address");

    public static readonly Layout Layout = new(
        "virtio-iommu/fault", 192, RequestHead.Standard + ", fault reporting",
        [.. Common(), Reserved(127, 96)],
        RequestHead.OnlyFlags(Flags, FlagRead | FlagWrite | FlagAddress));

    public static readonly Layout ProposalBLayout = new(
        "virtio-iommu/proposalB/fault", 192, RequestHead.ProposalB + ", fault with PASID",
        [.. Common(), Pasid],
        RequestHead.OnlyFlags(Flags, FlagRead | FlagWrite | FlagAddress));

    private static LayoutField[] Common() =>
    [
        Value(Reason, ((ulong)FaultReason.Unknown, "UNKNOWN"), ((ulong)FaultReason.Domain, "DOMAIN"),
            ((ulong)FaultReason.Mapping, "MAPPING")),
        Reserved(31, 8),
        Value(Flags, (0x101, "READ|ADDRESS"), (0x102, "WRITE|ADDRESS")),
        Endpoint,
        Address,
    ];
}

internal enum FaultReason : byte
{
    Unknown = 0,

    /// <summary>The endpoint is in no domain, or the domain's configuration forbids the access.</summary>
    Domain = 1,

    /// <summary>Nothing is mapped there, or not for this kind of access.</summary>
    Mapping = 2,
}
