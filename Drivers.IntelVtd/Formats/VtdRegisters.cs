// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>Register offsets in bytes. Intel VT-d, D51397-018 (rev 5.10), register descriptions.</summary>
internal static class VtdRegisters
{
    public const int VER = 0x00;
    public const int CAP = 0x08;
    public const int ECAP = 0x10;
    public const int GCMD = 0x18;
    public const int GSTS = 0x1C;
    public const int RTADDR = 0x20;
    public const int FSTS = 0x34;
    public const int IQH = 0x80;
    public const int IQT = 0x88;
    public const int IQA = 0x90;
    public const int IQERCD = 0xB0;
    public const int PQH = 0xC0;
    public const int PQT = 0xC8;
    public const int PQA = 0xD0;
}

/// <summary>Global command and status, 0x18 and 0x1C.</summary>
internal static class GlobalCommandBits
{
    public const uint TE = 1u << 31;

    /// <summary>Set root table pointer: one-shot; status bit RTPS.</summary>
    public const uint SRTP = 1u << 30;

    /// <summary>Write buffer flush: one-shot; the status bit is 1 while it runs.</summary>
    public const uint WBF = 1u << 27;
    public const uint QIE = 1u << 26;
    public const uint IRE = 1u << 25;

    /// <summary>
    /// Commands that act once (SRTP 30, SFL 29, WBF 27, SIRTP 24): their status bits are not written back.
    /// </summary>
    public const uint OneShot = SRTP | (1u << 29) | WBF | (1u << 24);
}

/// <summary>Fault status, 0x34.</summary>
internal static class FaultStatusBits
{
    /// <summary>A fault was lost: every record was in use. Writing 1 clears it.</summary>
    public const uint PFO = 1u << 0;

    /// <summary>A record holds a fault (its F bit); read-only.</summary>
    public const uint PPF = 1u << 1;

    /// <summary>The queue stopped at a bad descriptor. Writing 1 clears it.</summary>
    public const uint IQE = 1u << 4;

    /// <summary>A device sent an unexpected invalidation completion.</summary>
    public const uint ICE = 1u << 5;

    /// <summary>A device did not complete an invalidation in time.</summary>
    public const uint ITE = 1u << 6;

    /// <summary>Position of the index of the first pending record.</summary>
    public const int FriShift = 8;

    /// <summary>Index of the first pending record; it means something while <see cref="PPF"/> is set.</summary>
    public static int Fri(uint status) => (int)((status >> FriShift) & 0xFF);
}

/// <summary>Invalidation queue address, 0x90.</summary>
internal static class QueueAddress
{
    public static Field QS => new(2, 0, "QS");
    public static Field DW => new(11, 11, "DW");
    public static Field IQA => new(63, 12, "IQA");
}

/// <summary>Why the queue stopped, IQERCD.IQEI (0xB0).</summary>
internal static class QueueError
{
    public const ulong TailInvalid = 1;
    public const ulong FetchError = 2;
    public const ulong BadType = 3;
    public const ulong ReservedField = 4;
    public const ulong BadWidth = 5;
    public const ulong TailMisaligned = 6;
    public static Field IQEI => new(3, 0, "IQEI");
}

/// <summary>Capability register, 0x08. Its layout is <c>intel-vtd/cap</c>.</summary>
internal static class Cap
{
    public static Field ND => new(2, 0, "ND", "domain ids have 4+2*ND bits");
    public static Field RWBF => new(4, 4, "RWBF", "the write buffer must be flushed");
    public static Field CM => new(7, 7, "CM", "caching mode: entries that are not present may be cached");
    public static Field SAGAW => new(
        12, 8, "SAGAW", "second-stage widths: bit 1 39-bit (3-level), bit 2 48-bit (4-level), bit 3 57-bit (5-level)");
    public static Field MGAW => new(21, 16, "MGAW", "guest addresses have MGAW+1 bits");
    public static Field FRO => new(33, 24, "FRO", "offset of the fault records in units of 16 bytes");
    public static Field SSLPS =>
        new(37, 34, "SSLPS", "second-stage large pages: bit 0 2 MiB, bit 1 1 GiB (SLLPS in revisions 3.x)");
    public static Field PSI => new(39, 39, "PSI", "page-selective invalidation");
    public static Field NFR => new(47, 40, "NFR", "number of fault records - 1");
    public static Field MAMV => new(53, 48, "MAMV", "largest AM of a page-selective invalidation");
    public static Field FS1GP => new(56, 56, "FS1GP", "first-stage 1 GiB pages");
    public static Field FS5LP => new(60, 60, "FS5LP", "first-stage 5-level paging");
    public static Field ESRTPS => new(63, 63, "ESRTPS", "setting the root table pointer invalidates the caches");
}

/// <summary>Extended capability register, 0x10. Its layout is <c>intel-vtd/ecap</c>.</summary>
internal static class Ecap
{
    public static Field C => new(0, 0, "C", "page walks are coherent");
    public static Field QI => new(1, 1, "QI", "queued invalidation");
    public static Field DT => new(2, 2, "DT", "device TLBs");
    public static Field IR => new(3, 3, "IR", "interrupt remapping");
    public static Field EIM => new(4, 4, "EIM", "extended interrupt mode");
    public static Field PT => new(6, 6, "PT", "pass-through");
    public static Field SC => new(7, 7, "SC", "snoop control");
    public static Field IRO => new(17, 8, "IRO", "offset of the IOTLB registers in units of 16 bytes");
    public static Field MTS => new(25, 25, "MTS", "memory types");
    public static Field NEST => new(26, 26, "NEST", "nested translation");
    public static Field PRS => new(29, 29, "PRS", "page requests");
    public static Field ERS => new(30, 30, "ERS", "execute requests");
    public static Field SRS => new(31, 31, "SRS", "supervisor requests");
    public static Field NWFS => new(33, 33, "NWFS", "no-write flag");
    public static Field EAFS => new(34, 34, "EAFS", "extended accessed flag");
    public static Field PSS => new(39, 35, "PSS", "PASIDs have PSS+1 bits");
    public static Field PASID => new(40, 40, "PASID", "requests with PASID");
    public static Field DIT => new(41, 41, "DIT", "device-TLB invalidation throttling");
    public static Field PDS => new(42, 42, "PDS", "page-request drain");
    public static Field SMTS => new(43, 43, "SMTS", "scalable mode");
    public static Field VCS => new(44, 44, "VCS", "virtual command registers");
    public static Field SSADS => new(45, 45, "SSADS", "second-stage accessed and dirty flags");
    public static Field SSTS => new(46, 46, "SSTS", "second-stage translation");
    public static Field FSTS => new(47, 47, "FSTS", "first-stage translation");
    public static Field SMPWCS => new(48, 48, "SMPWCS", "page-walk snooping in scalable mode");
    public static Field RPS => new(49, 49, "RPS", "RID_PASID");
    public static Field PMS => new(51, 51, "PMS", "performance monitoring");
    public static Field ADMS => new(52, 52, "ADMS", "abort-DMA mode");
    public static Field RPRIVS => new(53, 53, "RPRIVS", "RID_PRIV");
    public static Field HPTS => new(55, 55, "HPTS", "hypervisor page tables (rev 5.x)");
    public static Field PTRS => new(56, 56, "PTRS", "EPTR in the context entry (rev 5.x)");
    public static Field SSIRWS => new(57, 57, "SSIRWS", "SSIRWE in the root table address register (rev 5.x)");
    public static Field SMS => new(58, 58, "SMS", "capability of rev 5.x");
    public static Field HPT1GPS => new(59, 59, "HPT1GPS", "1 GiB pages in hypervisor page tables (rev 5.x)");
    public static Field RDTS => new(60, 60, "RDTS", "capability of rev 5.x");
}
