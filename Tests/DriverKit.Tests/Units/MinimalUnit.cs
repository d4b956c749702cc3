// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;

namespace PasidFramework.DriverKit.Tests.Units;

/// <summary>A unit that has everything once, and no more lines than the skeleton asks for: the sample to begin
/// with.</summary>
internal sealed class MinimalUnit(UnitSetup setup, CommandPort port) : IommuUnit<MinimalDomain, UnitDevice>(setup, 8)
{
    private readonly LowestPasidAllocator _asids = new(new PasidRange(1, 3));
    private ulong _deviceTable;
    public int LiveAsids => _asids.LiveCount;
    protected override long Commands => port.Sent.Count;
    protected override IPasidAllocator? Tags => _asids;
    protected override IReadOnlyList<Func<OpResult>> StartSteps => [Build, () => port.Send("on")];

    public OpResult Build()
    {
        OpResult<ulong> table = AllocatePages(4096);
        _deviceTable = table.Value;
        return table.Outcome;
    }

    protected override OpResult Stop() => port.Send("off");

    protected override OpResult<MinimalDomain> CreateDomain(int id, int pasidBits)
    {
        OpResult<ulong> table = Memory.AllocatePages(4096);
        return table.IsOk
            ? OpResult<MinimalDomain>.Ok(new MinimalDomain(Memory, port, table.Value))
            : OpResult<MinimalDomain>.Refuse(table.Outcome);
    }

    protected override OpResult<UnitDevice> CreateDevice(
        MinimalDomain domain, RequesterId requester, DeviceFeatures features) => requester.Value < 512
        ? OpResult<UnitDevice>.Ok(new UnitDevice(requester, (features & DeviceFeatures.Ats) != 0))
        : OpResult<UnitDevice>.Refuse(Errno.EINVAL, $"{Name}: requester {requester} is beyond 9 bits");

    protected override OpResult Connect(MinimalDomain domain, UnitDevice device) => Store(device, domain.Root);
    protected override OpResult Disconnect(MinimalDomain domain, UnitDevice device) => Store(device, 0);

    private OpResult Store(UnitDevice device, ulong entry)
    {
        Memory.WriteQword(_deviceTable + (device.Requester.Value * 8), entry);
        return port.Send("device");
    }
}

internal sealed class MinimalDomain(IPhysicalMemory memory, CommandPort port, ulong root) : UnitDomain<UnitDevice>
{
    public ulong Root => root;
    public override long TableBytes => 4096;

    public override void Dispose()
    {
        memory.FreePages(root, 4096);
        base.Dispose();
    }

    protected override OpResult Install(UnitLink link) => Store(link, link.PageTableRoot | 1);

    protected override OpResult Quiet(UnitLink link)
    {
        OpResult result = Store(link, 3);
        return result.IsOk ? Forget(link) : result;
    }

    protected override OpResult Clear(UnitLink link)
    {
        OpResult result = Store(link, 0);
        return result.IsOk && !link.IsQuiet ? Forget(link) : result;
    }

    protected override OpResult Leave(UnitLink link, UnitDevice device) =>
        device.HasTlb ? port.Send($"tlb {device.Requester.Value} {link.Pasid.Value}") : OpResult.Ok;

    protected override OpResult InvalidateRange(UnitLink link, IovaRange range) => Forget(link);

    private OpResult Store(UnitLink link, ulong entry)
    {
        memory.WriteQword(root + (link.Pasid.Value * 8), entry);
        return port.Send($"entry {link.Pasid.Value}");
    }

    private OpResult Forget(UnitLink link)
    {
        OpResult result = port.Send($"translations {link.Tag}");
        foreach (UnitDevice device in DevicesWithTlb)
        {
            result = result.IsOk ? Leave(link, device) : result;
        }

        return result;
    }
}
