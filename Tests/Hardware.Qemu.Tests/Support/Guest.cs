// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Qemu.Tests.Support;

/// <summary>A process with page tables of its own, in the guest's memory, and pages that devices may store
/// to.</summary>
internal sealed class Guest : IAddressSpace, IDisposable
{
    private readonly ITestHardware _hardware;
    private readonly IPageTable _tables;
    private readonly Dictionary<ulong, ulong> _targets = [];

    public Guest(ITestHardware hardware, IPageTableFormat format, int number)
    {
        _hardware = hardware;
        Id = new AddressSpaceId((ulong)number);
        Pid = number;
        OpResult<IPageTable> tables = format.Create(hardware.Memory);
        Assert.True(tables.IsOk, tables.ToString());
        _tables = tables.Value;
    }

    public AddressSpaceId Id { get; }
    public int Pid { get; }

    public string Name => $"guest-{Pid}";

    public ulong PageTableRoot => _tables.Root;
    public bool IsAlive { get; set; } = true;

    /// <summary>Where a page is now.</summary>
    public ulong Target(ulong page) => _targets[page];

    /// <summary>Maps a page to a new target; the IOMMU is not told.</summary>
    /// <returns>The target that it had; 0 for none.</returns>
    public ulong Map(ulong page)
    {
        OpResult<ulong> target = _hardware.AllocateTarget();
        Assert.True(target.IsOk, target.ToString());
        Assert.Equal(OpResult.Ok, _tables.Map(page, target.Value, writable: true));
        _targets.Remove(page, out ulong before);
        _targets[page] = target.Value;
        return before;
    }

    /// <summary>Takes a page away; the IOMMU is not told.</summary>
    public void Unmap(ulong page) => Assert.Equal(OpResult.Ok, _tables.Unmap(page));

    /// <summary>Gives a page's target back while the page is still mapped to it.</summary>
    public void Forget(ulong page)
    {
        _targets.Remove(page, out ulong target);
        _hardware.FreeTarget(target);
    }

    public void Dispose()
    {
        foreach (ulong target in _targets.Values)
        {
            _hardware.FreeTarget(target);
        }

        _tables.Dispose();
    }
}
