// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Queues;

/// <summary>
/// Fault recording registers. Intel VT-d, D51397-018 (rev 5.10), chapter 7, Fault Status Register, and section 11.4.14.
/// It uses registers only, and none that another member writes.
/// </summary>
/// <param name="offset">CAP.FRO, in bytes.</param>
/// <param name="count">CAP.NFR + 1.</param>
internal sealed class FaultRecords(string unit, IRegisterFile registers, int offset, int count)
    : RecordQueue(FaultRecord.Words)
{
    private const int HighWord = 8;
    private const int HighHalfOfHighWord = 12;
    private const uint FaultBit = 1u << 31;
    private uint _status;
    private int _index;

    protected override int Begin()
    {
        _status = registers.Read32(VtdRegisters.FSTS);
        _index = FaultStatusBits.Fri(_status);
        return (_status & FaultStatusBits.PPF) != 0 ? count : 0;
    }

    protected override bool TryRead(Span<ulong> record)
    {
        int at = offset + (_index * FaultRecord.SizeBytes);
        record[1] = registers.Read64(at + HighWord);
        if (record.Get(FaultRecord.F) == 0)
        {
            return false;
        }

        // While F is set the hardware leaves the record alone; a 0 that is written leaves a bit alone.
        record[0] = registers.Read64(at);
        registers.Write32(at + HighHalfOfHighWord, FaultBit);
        _index = (_index + 1) % count;
        return true;
    }

    protected override OpResult End()
    {
        if ((_status & FaultStatusBits.PFO) == 0)
        {
            return OpResult.Ok;
        }

        // Nothing is recorded while PFO is set, so every record was cleared above, as must be before it is.
        registers.Write32(VtdRegisters.FSTS, FaultStatusBits.PFO);
        return OpResult.Refuse(Errno.EOVERFLOW,
            $"{unit}: FSTS.PFO was set: faults were lost, all {count} records were in use");
    }

    protected override IommuFault Decode(ReadOnlySpan<ulong> record)
    {
        int reason = (int)record.Get(FaultRecord.FR);
        bool hasPasid = record.Get(FaultRecord.PP) == 1;

        // {T1,T2}: an atomic operation writes as well; of a page request the record does not say what for.
        bool? isWrite = (record.Get(FaultRecord.T1), record.Get(FaultRecord.T2)) switch
        {
            (0, 0) => true,
            (1, 0) => false,
            (1, _) => true,
            _ => null,
        };
        return new IommuFault(
            new RequesterId((uint)record.Get(FaultRecord.SID)),
            hasPasid ? new Pasid((uint)record.Get(FaultRecord.PV)) : null,
            record.GetAddress(FaultRecord.FI),
            isWrite,
            reason,
            FaultReasonNames.Of(reason),
            record.ToArray());
    }
}
