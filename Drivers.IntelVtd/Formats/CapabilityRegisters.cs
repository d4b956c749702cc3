// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>
/// Capability and extended capability registers, 0x08 and 0x10. Intel VT-d, D51397-018 (rev 5.10), section 11.4,
/// register descriptions.
/// </summary>
/// <remarks>
/// Hardware sets bits that say nothing about PASIDs; they are declared as ignored and not as reserved, so that a
/// register that was read from a machine has no false violations.
/// </remarks>
internal static class CapabilityRegisters
{
    public static readonly Layout Capability = new(
        "intel-vtd/cap",
        64,
        "Intel VT-d D51397-018 (rev 5.10), section 11.4, Capability Register",
        [
            LayoutField.Value(Cap.ND, "domain ids have 4+2*ND bits").Reads(nd => Text($"{4 + (2 * nd)} bits")),
            LayoutField.Ignored(3, 3, Other),
            LayoutField.Value(Cap.RWBF, "the write buffer must be flushed"),
            LayoutField.Ignored(6, 5, Other),
            LayoutField.Value(Cap.CM, "caching mode: entries that are not present may be cached"),
            LayoutField.Value(
                Cap.SAGAW,
                "second-stage widths: bit 1 39-bit (3-level), bit 2 48-bit (4-level), bit 3 57-bit (5-level)").Reads(
                    widths => Join([(2, "39-bit"), (4, "48-bit"), (8, "57-bit")], widths)),
            LayoutField.Ignored(15, 13, Other),
            LayoutField.Value(Cap.MGAW, "guest addresses have MGAW+1 bits").Reads(bits => Text($"{bits + 1} bits")),
            LayoutField.Ignored(23, 22, Other),
            LayoutField.Value(Cap.FRO, "offset of the fault records in units of 16 bytes")
                .Reads(offset => Text($"0x{offset * 16:x}")),
            LayoutField.Value(Cap.SSLPS, "second-stage large pages: bit 0 2 MiB, bit 1 1 GiB (SLLPS in revisions 3.x)")
                .Reads(sizes => Join([(1, "2 MiB"), (2, "1 GiB")], sizes)),
            LayoutField.Ignored(38, 38, Other),
            LayoutField.Value(Cap.PSI, "page-selective invalidation"),
            LayoutField.Value(Cap.NFR, "number of fault records - 1").Reads(last => Text($"{last + 1} records")),
            LayoutField.Value(Cap.MAMV, "largest AM of a page-selective invalidation"),
            LayoutField.Ignored(55, 54, Other),
            LayoutField.Value(Cap.FS1GP, "first-stage 1 GiB pages"),
            LayoutField.Ignored(59, 57, Other),
            LayoutField.Value(Cap.FS5LP, "first-stage 5-level paging"),
            LayoutField.Ignored(62, 61, Other),
            LayoutField.Value(Cap.ESRTPS, "setting the root table pointer invalidates the caches"),
        ]);

    public static readonly Layout ExtendedCapability = new(
        "intel-vtd/ecap",
        64,
        "Intel VT-d D51397-018 (rev 5.10), section 11.4, Extended Capability Register",
        [
            LayoutField.Value(Ecap.C, "page walks are coherent"),
            LayoutField.Value(Ecap.QI, "queued invalidation"),
            LayoutField.Value(Ecap.DT, "device TLBs"),
            LayoutField.Value(Ecap.IR, "interrupt remapping"),
            LayoutField.Value(Ecap.EIM, "extended interrupt mode"),
            LayoutField.Ignored(5, 5, Other),
            LayoutField.Value(Ecap.PT, "pass-through"),
            LayoutField.Value(Ecap.SC, "snoop control"),
            LayoutField.Value(Ecap.IRO, "offset of the IOTLB registers in units of 16 bytes")
                .Reads(offset => Text($"0x{offset * 16:x}")),
            LayoutField.Ignored(24, 18, Other),
            LayoutField.Value(Ecap.MTS, "memory types"),
            LayoutField.Value(Ecap.NEST, "nested translation"),
            LayoutField.Ignored(28, 27, Other),
            LayoutField.Value(Ecap.PRS, "page requests"),
            LayoutField.Value(Ecap.ERS, "execute requests"),
            LayoutField.Value(Ecap.SRS, "supervisor requests"),
            LayoutField.Ignored(32, 32, Other),
            LayoutField.Value(Ecap.NWFS, "no-write flag"),
            LayoutField.Value(Ecap.EAFS, "extended accessed flag"),
            LayoutField.Value(Ecap.PSS, "PASIDs have PSS+1 bits").Reads(bits => Text($"{bits + 1} bits")),
            LayoutField.Value(Ecap.PASID, "requests with PASID"),
            LayoutField.Value(Ecap.DIT, "device-TLB invalidation throttling"),
            LayoutField.Value(Ecap.PDS, "page-request drain"),
            LayoutField.Value(Ecap.SMTS, "scalable mode"),
            LayoutField.Value(Ecap.VCS, "virtual command registers"),
            LayoutField.Value(Ecap.SSADS, "second-stage accessed and dirty flags"),
            LayoutField.Value(Ecap.SSTS, "second-stage translation"),
            LayoutField.Value(Ecap.FSTS, "first-stage translation"),
            LayoutField.Value(Ecap.SMPWCS, "page-walk snooping in scalable mode"),
            LayoutField.Value(Ecap.RPS, "RID_PASID"),
            LayoutField.Ignored(50, 50, Other),
            LayoutField.Value(Ecap.PMS, "performance monitoring"),
            LayoutField.Value(Ecap.ADMS, "abort-DMA mode"),
            LayoutField.Value(Ecap.RPRIVS, "RID_PRIV"),
            LayoutField.Ignored(54, 54, Other),
            LayoutField.Value(Ecap.HPTS, "hypervisor page tables (rev 5.x)"),
            LayoutField.Value(Ecap.PTRS, "EPTR in the context entry (rev 5.x)"),
            LayoutField.Value(Ecap.SSIRWS, "SSIRWE in the root table address register (rev 5.x)"),
            LayoutField.Value(Ecap.SMS, "capability of rev 5.x"),
            LayoutField.Value(Ecap.HPT1GPS, "1 GiB pages in hypervisor page tables (rev 5.x)"),
            LayoutField.Value(Ecap.RDTS, "capability of rev 5.x"),
            LayoutField.Ignored(63, 61, Other),
        ],
        CheckPasidWidth);

    private const string Other = "capabilities that do not concern PASIDs";

    private static string Join((ulong Bit, string Name)[] names, ulong value)
    {
        string text = string.Join(", ", names.Where(n => (value & n.Bit) != 0).Select(n => n.Name));
        return text.Length == 0 ? "none" : text;
    }

    private static void CheckPasidWidth(ReadOnlySpan<ulong> words, ICollection<Violation> found)
    {
        ulong bits = words.Get(Ecap.PSS) + 1;
        if (words.Get(Ecap.PASID) == 1 && bits > Pasid.MaxBits)
        {
            found.Add(new Violation(Ecap.PSS.Mnemonic, Text(
                $"is {bits - 1}: PASIDs of {bits} bits, the packet carries {Pasid.MaxBits}")));
        }
    }
}
