// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <summary>What CAP and ECAP say, as far as the driver acts on it.</summary>
internal sealed class VtdCapabilities(ulong cap, ulong ecap)
{
    /// <summary>Name of the first capability that is absent and needed; null if all are there.</summary>
    public string? Missing { get; } =
        ecap.Field(Ecap.SMTS) == 0 ? "ECAP.SMTS (scalable mode)"
        : ecap.Field(Ecap.PASID) == 0 ? "ECAP.PASID (requests with PASID)"
        : ecap.Field(Ecap.QI) == 0 ? "ECAP.QI (queued invalidation)"
        : ecap.Field(Ecap.FSTS) == 0 ? "ECAP.FSTS (first-stage translation)"
        : null;

    public int PasidBits { get; } = Math.Min((int)ecap.Field(Ecap.PSS) + 1, Pasid.MaxBits);

    /// <summary>Entries that were not present may be cached too: making one present needs an invalidation.</summary>
    public bool CachingMode { get; } = cap.Field(Cap.CM) == 1;

    /// <summary>The hardware's write buffer must be flushed after an entry was made present.</summary>
    public bool WriteBuffer { get; } = cap.Field(Cap.RWBF) == 1;

    /// <summary>Largest AM of a page-selective invalidation; -1 where there is none.</summary>
    public int MaxAddressMask { get; } = cap.Field(Cap.PSI) == 1 ? (int)cap.Field(Cap.MAMV) : -1;

    /// <summary>Fault recording registers that there are, 1 to 256.</summary>
    public int FaultRecords { get; } = (int)cap.Field(Cap.NFR) + 1;

    /// <summary>Byte offset of the first fault recording register.</summary>
    public int FaultRecordOffset { get; } = (int)cap.Field(Cap.FRO) * 16;

    /// <summary>
    /// AW of a PASID entry. It does not matter to a first-stage entry; Linux writes it for every type, and so does this
    /// driver: 4-level where that exists, else 3-level, else 5-level.
    /// </summary>
    public ulong AddressWidth { get; } =
        (cap.Field(Cap.SAGAW) & 0b00100) != 0 ? 2u
        : (cap.Field(Cap.SAGAW) & 0b00010) != 0 ? 1u
        : (cap.Field(Cap.SAGAW) & 0b01000) != 0 ? 3u
        : 0;

    /// <summary>Page walks can snoop: PWSNP is not reserved.</summary>
    public bool WalkSnoop { get; } = ecap.Field(Ecap.SMPWCS) == 1;
    public bool Supervisor { get; } = ecap.Field(Ecap.SRS) == 1;
    public bool RidPasid { get; } = ecap.Field(Ecap.RPS) == 1;
    public bool DeviceTlb { get; } = ecap.Field(Ecap.DT) == 1;
    public bool PageRequests { get; } = ecap.Field(Ecap.PRS) == 1;

    /// <summary>A wait can drain page requests.</summary>
    public bool PageRequestDrain { get; } = ecap.Field(Ecap.PDS) == 1;

    /// <summary>What PASID entries may say.</summary>
    public PasidEntrySettings EntrySettings => new(AddressWidth, WalkSnoop, Supervisor);
}
