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
        "intel-vtd/cap", 64, "Intel VT-d D51397-018 (rev 5.10), section 11.4, Capability Register", [
            Value(Cap.ND).Reads(nd => Text($"{4 + (2 * nd)} bits")),
            Ignored(3, 3, Other), Cap.RWBF, Ignored(6, 5, Other), Cap.CM,
            Value(Cap.SAGAW).Reads(widths => Join([(2, "39-bit"), (4, "48-bit"), (8, "57-bit")], widths)),
            Ignored(15, 13, Other),
            Value(Cap.MGAW).Reads(bits => Text($"{bits + 1} bits")),
            Ignored(23, 22, Other),
            Value(Cap.FRO).Reads(offset => Text($"0x{offset * 16:x}")),
            Value(Cap.SSLPS).Reads(sizes => Join([(1, "2 MiB"), (2, "1 GiB")], sizes)),
            Ignored(38, 38, Other), Cap.PSI,
            Value(Cap.NFR).Reads(last => Text($"{last + 1} records")),
            Cap.MAMV, Ignored(55, 54, Other), Cap.FS1GP, Ignored(59, 57, Other), Cap.FS5LP, Ignored(62, 61, Other),
            Cap.ESRTPS,
        ]);

    public static readonly Layout ExtendedCapability = new(
        "intel-vtd/ecap", 64, "Intel VT-d D51397-018 (rev 5.10), section 11.4, Extended Capability Register", [
            Ecap.C, Ecap.QI, Ecap.DT, Ecap.IR, Ecap.EIM, Ignored(5, 5, Other), Ecap.PT, Ecap.SC,
            Value(Ecap.IRO).Reads(offset => Text($"0x{offset * 16:x}")),
            Ignored(24, 18, Other), Ecap.MTS, Ecap.NEST, Ignored(28, 27, Other), Ecap.PRS, Ecap.ERS, Ecap.SRS,
            Ignored(32, 32, Other), Ecap.NWFS, Ecap.EAFS,
            Value(Ecap.PSS).Reads(bits => Text($"{bits + 1} bits")),
            Ecap.PASID, Ecap.DIT, Ecap.PDS, Ecap.SMTS, Ecap.VCS, Ecap.SSADS, Ecap.SSTS, Ecap.FSTS, Ecap.SMPWCS,
            Ecap.RPS, Ignored(50, 50, Other), Ecap.PMS, Ecap.ADMS, Ecap.RPRIVS, Ignored(54, 54, Other), Ecap.HPTS,
            Ecap.PTRS, Ecap.SSIRWS, Ecap.SMS, Ecap.HPT1GPS, Ecap.RDTS, Ignored(63, 61, Other),
        ], CheckPasidWidth);

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
            found.Add(Ecap.PSS, $"is {bits - 1}: PASIDs of {bits} bits, the packet carries {Pasid.MaxBits}");
        }
    }
}
