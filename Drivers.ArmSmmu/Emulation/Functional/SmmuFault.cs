// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Functional;

/// <summary>What went wrong with an access; the default is nothing.</summary>
/// <param name="Address">Address of a fetch that failed.</param>
internal readonly record struct SmmuFault(SmmuEvent Event, string? Reason, ulong Address = 0)
{
    public bool IsStage2 { get; init; }

    /// <summary>CLASS: what was being read or translated.</summary>
    public ulong Class { get; init; } = Events.ClassInput;

    /// <summary>The intermediate address of a stage 2 fault.</summary>
    public ulong Ipa { get; init; }
    public bool IsFault => Event != SmmuEvent.None;

    /// <summary>Writes the event record (Arm IHI 0070 7.3).</summary>
    public void Encode(in DmaAccess access, Span<ulong> record)
    {
        record.Clear();
        record.Set(Events.ID, (ulong)Event);
        record.Set(Events.SID, access.Requester.Value);
        if (access.Pasid is { } pasid && Event != SmmuEvent.F_STREAM_DISABLED)
        {
            record.Set(Events.SSID, pasid.Value);
            record.Set(Events.SSV, Event == SmmuEvent.C_BAD_SUBSTREAMID ? 0UL : 1);
        }

        switch (Event)
        {
            case SmmuEvent.F_STE_FETCH or SmmuEvent.F_CD_FETCH:
                record.SetAddress(Events.FetchAddr, Address & Events.FetchAddr.WordMask);
                break;
            case SmmuEvent.F_TRANSL_FORBIDDEN:
                record.Set(Events.RnW, access.IsWrite ? 0UL : 1);
                record.Set(Events.InputAddr, access.Address);
                break;
            case SmmuEvent.F_WALK_EABT:
                EncodeStage(access, record);
                record.SetAddress(Events.FetchAddr, Address & Events.FetchAddr.WordMask);
                break;
            case SmmuEvent.F_TRANSLATION or SmmuEvent.F_ADDR_SIZE or SmmuEvent.F_ACCESS or SmmuEvent.F_PERMISSION:
                EncodeStage(access, record);
                if (IsStage2)
                {
                    record.SetAddress(Events.IPA, Ipa & Events.IPA.WordMask);
                }

                break;
        }
    }

    private void EncodeStage(in DmaAccess access, Span<ulong> record)
    {
        record.Set(Events.RnW, access.IsWrite ? 0UL : 1);
        record.Set(Events.S2, IsStage2 ? 1UL : 0);
        record.Set(Events.CLASS, Class);
        record.Set(Events.InputAddr, access.Address);
    }
}
