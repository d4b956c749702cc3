// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <summary>What CAP and ECAP say, as far as the driver acts on it.</summary>
internal sealed class VtdCapabilities(ulong cap, ulong ecap)
{
    /// <summary>Name of the first capability that is absent and needed; null if all are there.</summary>
    public string? Missing { get; } =
        ecap.Get(Ecap.SMTS) == 0 ? "ECAP.SMTS (scalable mode)"
        : ecap.Get(Ecap.PASID) == 0 ? "ECAP.PASID (requests with PASID)"
        : ecap.Get(Ecap.QI) == 0 ? "ECAP.QI (queued invalidation)"
        : ecap.Get(Ecap.FSTS) == 0 ? "ECAP.FSTS (first-stage translation)"
        : null;

    public int PasidBits { get; } = Math.Min((int)ecap.Get(Ecap.PSS) + 1, Pasid.MaxBits);

    /// <summary>Entries that were not present may be cached too: making one present needs an invalidation.</summary>
    public bool CachingMode { get; } = cap.Get(Cap.CM) == 1;

    /// <summary>The hardware's write buffer must be flushed after an entry was made present.</summary>
    public bool WriteBuffer { get; } = cap.Get(Cap.RWBF) == 1;

    /// <summary>Largest AM of a page-selective invalidation; -1 where there is none.</summary>
    public int MaxAddressMask { get; } = cap.Get(Cap.PSI) == 1 ? (int)cap.Get(Cap.MAMV) : -1;

    /// <summary>Fault recording registers that there are, 1 to 256.</summary>
    public int FaultRecords { get; } = (int)cap.Get(Cap.NFR) + 1;

    /// <summary>Byte offset of the first fault recording register.</summary>
    public int FaultRecordOffset { get; } = (int)cap.Get(Cap.FRO) * 16;

    /// <summary>
    /// AW of a PASID entry. It does not matter to a first-stage entry; Linux writes it for every type, and so does this
    /// driver: 4-level where that exists, else 3-level, else 5-level.
    /// </summary>
    public ulong AddressWidth { get; } =
        (cap.Get(Cap.SAGAW) & 0b00100) != 0 ? 2u
        : (cap.Get(Cap.SAGAW) & 0b00010) != 0 ? 1u
        : (cap.Get(Cap.SAGAW) & 0b01000) != 0 ? 3u
        : 0;

    /// <summary>Page walks can snoop: PWSNP is not reserved.</summary>
    public bool WalkSnoop { get; } = ecap.Get(Ecap.SMPWCS) == 1;
    public bool Supervisor { get; } = ecap.Get(Ecap.SRS) == 1;
    public bool RidPasid { get; } = ecap.Get(Ecap.RPS) == 1;
    public bool DeviceTlb { get; } = ecap.Get(Ecap.DT) == 1;
    public bool PageRequests { get; } = ecap.Get(Ecap.PRS) == 1;

    /// <summary>A wait can drain page requests.</summary>
    public bool PageRequestDrain { get; } = ecap.Get(Ecap.PDS) == 1;

    /// <summary>What PASID entries may say.</summary>
    public PasidEntrySettings EntrySettings => new(AddressWidth, WalkSnoop, Supervisor);
}
