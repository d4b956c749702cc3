using System.Globalization;
using PasidFramework.Contracts;
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Identifiers;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <content>
/// Fault records. Intel VT-d, D51397-018 (rev 5.10), chapter 7, Fault Status Register, and section 11.4.14.
/// </content>
internal sealed partial class RemappingUnit
{
    private const int HighWord = 8;
    private const int HighHalfOfHighWord = 12;
    private const uint FaultBit = 1u << 31;

    /// <summary>
    /// Takes the records that are there, from FRI on, and clears each; then the overflow, if there was one. It uses
    /// registers only, and none that another member writes.
    /// </summary>
    /// <param name="faults">Where they are added.</param>
    /// <returns>Success; EOVERFLOW where PFO was set.</returns>
    public OpResult TakeFaults(ICollection<IommuFault> faults)
    {
        uint status = _registers.Read32(VtdRegisters.FSTS);
        if ((status & FaultStatusBits.PPF) != 0)
        {
            // One round at most: hardware may record as fast as this clears.
            int index = FaultStatusBits.Fri(status);
            for (int left = Capabilities.FaultRecords; left > 0 && TryTakeFault(index, faults); left--)
            {
                index = (index + 1) % Capabilities.FaultRecords;
            }
        }

        if ((status & FaultStatusBits.PFO) == 0)
        {
            return OpResult.Ok;
        }

        // Nothing is recorded while PFO is set, so every record was cleared above, as must be before it is.
        _registers.Write32(VtdRegisters.FSTS, FaultStatusBits.PFO);
        return OpResult.Refuse(Errno.EOVERFLOW, string.Create(
            CultureInfo.InvariantCulture,
            $"{Name}: FSTS.PFO was set: faults were lost, all {Capabilities.FaultRecords} records were in use"));
    }

    // What an earlier owner of the hardware left is not about anything of this unit.
    private void DiscardFaults() => TakeFaults([]);

    private bool TryTakeFault(int index, ICollection<IommuFault> faults)
    {
        int at = Capabilities.FaultRecordOffset + (index * FaultRecord.SizeBytes);
        ulong high = _registers.Read64(at + HighWord);
        Span<ulong> words = [0, high];
        if (words.Get(FaultRecord.F) == 0)
        {
            return false;
        }

        // While F is set the hardware leaves the record alone; a 0 that is written leaves a bit alone.
        words[0] = _registers.Read64(at);
        _registers.Write32(at + HighHalfOfHighWord, FaultBit);
        faults.Add(Decode(words));
        return true;
    }

    private static IommuFault Decode(ReadOnlySpan<ulong> words)
    {
        int reason = (int)words.Get(FaultRecord.FR);
        bool hasPasid = words.Get(FaultRecord.PP) == 1;

        // {T1,T2}: an atomic operation writes as well; of a page request the record does not tell what for.
        bool? isWrite = (words.Get(FaultRecord.T1), words.Get(FaultRecord.T2)) switch
        {
            (0, 0) => true,
            (1, 0) => false,
            (1, _) => true,
            _ => null,
        };
        return new IommuFault(
            new RequesterId((uint)words.Get(FaultRecord.SID)),
            hasPasid ? new Pasid((uint)words.Get(FaultRecord.PV)) : null,
            words.GetAddress(FaultRecord.FI),
            isWrite,
            reason,
            FaultReasonNames.Of(reason),
            words.ToArray());
    }
}
