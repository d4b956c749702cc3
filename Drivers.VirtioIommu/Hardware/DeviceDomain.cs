using PasidFramework.Hardware;

namespace PasidFramework.Drivers.VirtioIommu.Hardware;

/// <summary>A mapping of a standard domain; both ends included.</summary>
internal readonly record struct DeviceMapping(ulong Start, ulong Last, ulong Physical, uint Flags);

/// <summary>Where a domain's PASID table is and how it looks: the SMMUv3 STE fields of the same names.</summary>
internal readonly record struct DeviceTable(int S1Fmt, ulong S1ContextPtr, int S1CdMax, int S1Dss);

/// <summary>A domain as the device keeps it. It exists as long as an endpoint is in it.</summary>
internal sealed class DeviceDomain
{
    /// <summary>Its number.</summary>
    public required uint Id { get; init; }

    /// <summary>Whether it passes everything.</summary>
    public bool Bypass { get; init; }

    /// <summary>Its PASID table; null for a domain of mappings.</summary>
    public DeviceTable? Table { get; init; }

    /// <summary>Endpoints in it.</summary>
    public int Endpoints { get; set; }

    /// <summary>Mappings by their first byte; they do not overlap.</summary>
    public SortedDictionary<ulong, DeviceMapping> Mappings { get; } = [];
}

/// <summary>A request as the device consumed it.</summary>
/// <param name="Bytes">What the driver wrote.</param>
/// <param name="Status">The status that was answered; null for used length 0.</param>
internal sealed record ConsumedRequest(byte[] Bytes, byte? Status);

/// <summary>What a walk of a PASID table found.</summary>
/// <param name="Status">How far it came.</param>
/// <param name="PageTableRoot">The process's page table.</param>
/// <param name="IsMapping">For a fault: whether the address is at fault, not the configuration.</param>
/// <param name="Reason">The fault in words.</param>
internal readonly record struct WalkResult(
    TranslationStatus Status, ulong PageTableRoot, bool IsMapping, string? Reason);
