// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;
using PasidFramework.Drivers.ArmSmmu.Queues;

namespace PasidFramework.Drivers.ArmSmmu.Unit;

/// <summary>One SMMUv3: its stream table, queues and ASIDs.</summary>
internal sealed partial class SmmuUnit : IommuUnit<SmmuDomain, UnitDevice>
{
    // The stream table is the unit's, whatever domain a stream is in.
    private readonly Lock _topology = new();

    // StreamIDs whose device did not confirm at its removal that it forgot everything.
    private readonly HashSet<uint> _unforgotten = [];

    /// <remarks>With S1DSS = 2 descriptor 0 serves requests without a PASID, and PASID 0 itself is invalid.</remarks>
    public override IReadOnlyList<Pasid> ReservedPasids { get; } = [new Pasid(0)];

    /// <summary>The unit's ASIDs, private ones: 1 to 2^bits - 1.</summary>
    public LowestPasidAllocator Asids { get; }

    protected override IPasidAllocator Tags => Asids;
    protected override long Commands => _queue?.Commands ?? 0;

    /// <summary>Lowest first, so that a domain fills its 64 KiB leaves one after the other.</summary>
    public override IPasidAllocator CreateAllocator(PasidRange range) => new LowestPasidAllocator(range);

    public override OpResult TakeFaults(ICollection<IommuFault> faults) => _events!.Take(faults);

    protected override OpResult<SmmuDomain> CreateDomain(int id, int pasidBits) => SmmuDomain.Create(
        Memory, _queue!, pasidBits, _capabilities.Descriptors, _capabilities.HasRange);

    protected override OpResult<UnitDevice> CreateDevice(
        SmmuDomain domain, RequesterId requester, DeviceFeatures features) => OpResult<UnitDevice>.Ok(
            new UnitDevice(requester, (features & DeviceFeatures.Ats) != 0 && _capabilities.HasAts));

    protected override OpResult Connect(SmmuDomain domain, UnitDevice device)
    {
        uint sid = device.Requester.Value;
        Span<ulong> words = stackalloc ulong[StreamTableEntry.Words];
        domain.Table.EncodeSte(words, device.HasTlb);
        lock (_topology)
        {
            // With a valid entry again what the device still holds would pass.
            OpResult result = _unforgotten.Contains(sid) ? InvalidateStream(sid) : OpResult.Ok;
            if (!result.IsOk)
            {
                return result;
            }

            _unforgotten.Remove(sid);
            return _streams!.Set(sid, words);
        }
    }

    /// <summary>Nothing: the stream table has done so.</summary>
    protected override void RollBack(SmmuDomain domain, UnitDevice device)
    {
    }

    protected override OpResult Disconnect(SmmuDomain domain, UnitDevice device)
    {
        uint sid = device.Requester.Value;
        lock (_topology)
        {
            OpResult result = _streams!.Clear(sid);
            var batch = new CommandBatch(_queue!);
            batch.Add(Formats.Commands.CfgiCdAll(sid));
            OpResult descriptors = batch.Complete();
            result = result.IsOk ? descriptors : result;
            if (device.HasTlb)
            {
                // The table is the domain's, so the device may hold translations of every process in it, and no later
                // detach or exit invalidates it. Only now can it get no new ones.
                var devices = new CommandBatch(_queue!);
                AddAtcOfAll(ref devices, sid);
                if (!devices.Complete().IsOk || !result.IsOk)
                {
                    _unforgotten.Add(sid);
                }
            }

            return result;
        }
    }

    private static void AddAtcOfAll(ref CommandBatch batch, uint sid)
    {
        batch.Add(Formats.Commands.AtcInvAll(sid, withPasid: true));
        batch.Add(Formats.Commands.AtcInvAll(sid, withPasid: false));
    }

    // Everything of a stream whose entry is invalid in memory.
    private OpResult InvalidateStream(uint sid)
    {
        var batch = new CommandBatch(_queue!);
        batch.Add(Formats.Commands.CfgiSte(sid, leaf: true));
        batch.Add(Formats.Commands.CfgiCdAll(sid));
        batch.Fence();
        AddAtcOfAll(ref batch, sid);
        return batch.Complete();
    }
}
