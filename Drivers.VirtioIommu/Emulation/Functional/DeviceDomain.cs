// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Emulation.Functional;

/// <summary>A mapping of a standard domain; both ends included.</summary>
internal readonly record struct DeviceMapping(ulong Start, ulong Last, ulong Physical, uint Flags);

/// <summary>A domain as the device keeps it. It exists as long as an endpoint is in it.</summary>
internal sealed class DeviceDomain
{
    public required uint Id { get; init; }
    public bool Bypass { get; init; }

    /// <summary>Its PASID table; null for a domain of mappings.</summary>
    public DeviceTable? Table { get; init; }

    /// <summary>That table in memory, for a device that keeps nothing of it.</summary>
    public ITableView? View { get; init; }

    public bool HasMappings => !Bypass && Table is null;
    public int Endpoints { get; set; }

    /// <summary>Mappings by their first byte; they do not overlap.</summary>
    public SortedDictionary<ulong, DeviceMapping> Mappings { get; } = [];
}

/// <summary>A request as the device consumed it.</summary>
/// <param name="Status">The status that was answered; null for used length 0.</param>
internal sealed record ConsumedRequest(byte[] Bytes, byte? Status);

/// <summary>What a walk of a PASID table found.</summary>
/// <param name="IsMapping">For a fault: whether the address is at fault, not the configuration.</param>
internal readonly record struct WalkResult(
    TranslationStatus Status, ulong PageTableRoot, bool IsMapping, string? Reason, ulong Address = 0)
{
    /// <summary>What the reader of such tables found.</summary>
    public static WalkResult Of(TableWalk walk) => new(
        walk.Result.Status,
        walk.Result.PageTableRoot,
        walk.IsConfigured && walk.Result.Status == TranslationStatus.Faulted,
        walk.Result.Reason,
        walk.Result.Address);

    public static WalkResult Configuration(InvariantText why) => new(TranslationStatus.Faulted, 0, false, Text(why));
    public static WalkResult Mapping(InvariantText why) => new(TranslationStatus.Faulted, 0, true, Text(why));
}

internal enum InvalidationScope
{
    Domain,
    Pasid,
    Pages,
}

/// <summary>An INVALIDATE that was accepted, whichever dialect it was written in.</summary>
/// <param name="Leaf">Whether it leaves what leads to the last level.</param>
/// <param name="Id">The tag of the translations; null where none is named.</param>
/// <param name="Globals">Whether translations of all tags go as well.</param>
/// <param name="Last">Last byte of the pages; below the first for none.</param>
internal readonly record struct DeviceInvalidation(
    InvalidationScope Scope,
    bool Configuration,
    bool Translations,
    bool Leaf,
    uint Pasid,
    ulong? Id,
    bool Globals,
    ulong First = 1,
    ulong Last = 0);

/// <summary>Stands beside a device: keeps what real hardware may keep, and sees what a driver does that has no answer.
/// Called while the device's own lock is held.</summary>
internal interface IDeviceWatcher
{
    WalkResult Walk(DeviceDomain domain, in DmaAccess access);

    DeviceMapping? Find(DeviceDomain domain, ulong address);

    void ReportViolation(string rule, InvariantText message);

    void QueueReady(int index, DeviceQueue queue);

    void Doorbell(int index, DeviceQueue queue);

    void Returned(int index, int head);

    void Completed();

    void Created(DeviceDomain domain);

    void Left(uint endpoint, DeviceDomain domain);

    void Unmapped(DeviceDomain domain, ulong first, ulong last);

    void Invalidated(DeviceDomain domain, in DeviceInvalidation what);

    void Reset();
}
