// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <content>Fault records and status. Section 11.4.14 and Fault Status Register.</content>
internal partial class VtdHardware
{
    private readonly ulong[] _faults = new ulong[VtdHardwareOptions.FaultRecords * FaultRecord.Words];
    private int _nextFault;

    private static bool IsFaultRecord(int offset) => offset >= VtdHardwareOptions.FaultRecordOffset
        && offset < VtdHardwareOptions.FaultRecordOffset + (VtdHardwareOptions.FaultRecords * FaultRecord.SizeBytes);

    private void RecordFault(in DmaAccess access, int reason)
    {
        Span<ulong> record = stackalloc ulong[FaultRecord.Words];
        record.Clear();
        record.SetAddress(FaultRecord.FI, access.Address & FaultRecord.FI.WordMask);
        record.Set(FaultRecord.SID, access.Requester.Value);
        record.Set(FaultRecord.T1, access.IsWrite ? 0u : 1u);
        record.Set(FaultRecord.FR, (ulong)reason);
        record.Set(FaultRecord.F, 1);
        if (access.Pasid is { } pasid)
        {
            record.Set(FaultRecord.PP, 1);
            record.Set(FaultRecord.PV, pasid.Value);
        }

        _gate.Enter();
        try
        {
            // While PFO is set nothing more is recorded; a record in use makes it set.
            if ((_fsts & FaultStatusBits.PFO) != 0)
            {
                return;
            }

            Span<ulong> slot = _faults.AsSpan(_nextFault * FaultRecord.Words, FaultRecord.Words);
            if (slot.Get(FaultRecord.F) == 1)
            {
                _fsts |= FaultStatusBits.PFO;
                return;
            }

            record.CopyTo(slot);
            _nextFault = (_nextFault + 1) % VtdHardwareOptions.FaultRecords;
        }
        finally
        {
            _gate.Exit();
        }
    }

    // PPF is the OR of all F bits, FRI the oldest record among them.
    private uint FaultStatus()
    {
        for (int i = 0; i < VtdHardwareOptions.FaultRecords; i++)
        {
            int index = (_nextFault + i) % VtdHardwareOptions.FaultRecords;
            if (_faults.AsSpan(index * FaultRecord.Words, FaultRecord.Words).Get(FaultRecord.F) == 1)
            {
                return _fsts | FaultStatusBits.PPF | ((uint)index << FaultStatusBits.FriShift);
            }
        }

        return _fsts;
    }

    private void ClearFaultStatus(uint ones)
    {
        uint before = _fsts;
        _fsts &= ~(ones & (FaultStatusBits.PFO | FaultStatusBits.IQE | FaultStatusBits.ICE | FaultStatusBits.ITE));
        if ((before & FaultStatusBits.IQE) != 0 && (_fsts & FaultStatusBits.IQE) == 0)
        {
            // The queue goes on at the descriptor at which it stopped.
            _iqercd = 0;
            ConsumeQueue();
        }
    }
}
