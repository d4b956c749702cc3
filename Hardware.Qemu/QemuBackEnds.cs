// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Qemu.Smmu;
using PasidFramework.Qemu.Virtio;
using PasidFramework.Qemu.Vtd;

namespace PasidFramework.Qemu;

/// <summary>QEMU's IOMMUs as hardware that drivers are judged on.</summary>
public static class QemuBackEnds
{
    /// <summary>Devices of one machine.</summary>
    public const int Devices = 16;

    private const string OnePasid =
        "QEMU's devices send no PASID with a request: each device stands for one, which is given to the IOMMU as the "
            + "PASID of requests without a PASID. That a PASID comes with the request is not shown. ";

    private const string VtdCommon =
        " Reserved bits of PASID and directory entries are not checked. ECAP.PSS is given as asked for. There is one "
            + "fault record, so of two faults the second one is lost; NFR is 1.";

    /// <summary>The back ends of one QEMU, one for each architecture.</summary>
    public static IReadOnlyList<IHardwareBackEnd> For(QemuInstallation installation)
    {
        ArgumentNullException.ThrowIfNull(installation);
        return
        [
            new QemuBackEnd(
                installation,
                "intel-vtd",
                "x86-64",
                VtdQemu.IgnoresRidPasid(installation)
                    ? "QEMU's devices send no PASID with a request, and this version ignores RID_PASID: before each "
                        + "access the entry that the driver wrote for the device's PASID is copied to slot 0 of a "
                        + "scratch table, and the caches are emptied. That judges the bytes of the entry, the context "
                        + "entry and the page tables; it does not judge the place of the entry, PDTS, or any "
                        + "invalidation." + VtdCommon
                    : OnePasid + "RID_PASID of the driver's context entry is set to the PASID, so directory, table, "
                        + "page tables and invalidations are judged. A forgotten invalidation of the PASID cache alone "
                        + "does not show: entries are read again whenever a translation is not cached." + VtdCommon,
                bits => VtdQemu.Start(installation, Devices, bits)),
            new QemuBackEnd(
                installation,
                "arm-smmuv3",
                "arm-lpae-4k",
                "QEMU's SMMUv3 has no substreams: it walks a stream table of this back end, in which the device's "
                    + "entry is the driver's with S1CDMax 0 and S1ContextPtr at the context descriptor of the device's "
                    + "PASID. That judges the descriptor, the page tables, events and every command; it does not judge "
                    + "S1CDMax, S1Fmt, S1DSS, first-level descriptors or the stream table's own shape, which the back "
                    + "end follows. CFGI_CD of any substream drops what is cached of the whole stream. IDR1.SSIDSIZE "
                    + "is given as asked for, IDR0.CD2L as 1.",
                bits => SmmuQemu.Start(installation, Devices, bits)),
            new QemuBackEnd(
                installation,
                "virtio-iommu",
                "x86-64",
                "The standard's requests carry no PASID: a PASID is only a name for the one process of a device's "
                    + "domain, and says nothing in any fault record. QEMU keeps each mapping until UNMAP and caches "
                    + "nothing beside. It accepts MAP of addresses that are not aligned and UNMAP of what is not "
                    + "mapped. A fault record is lost where the driver has left no buffer in the event queue.",
                bits => bits == Pasid.MaxBits ? VirtioQemu.Start(installation, Devices) : null,
                "a virtio-iommu of the standard reports no PASID width"),
        ];
    }

    private sealed class QemuBackEnd(
        QemuInstallation installation,
        string architecture,
        string pageTables,
        string limits,
        Func<int, ITestHardware?> start,
        string whyNot = "") : IHardwareBackEnd
    {
        public string Name { get; } = $"qemu-{installation.Version}";
        public string Architecture { get; } = architecture;
        public string PageTables { get; } = pageTables;
        public string Limits { get; } = limits;

        public OpResult<ITestHardware> Start(HardwareSetup setup)
        {
            ArgumentNullException.ThrowIfNull(setup);
            ArgumentOutOfRangeException.ThrowIfNegative(setup.PasidBits);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(setup.PasidBits, Pasid.MaxBits);
            if (!setup.Coherent)
            {
                return Refuse("its table walker sees the caches of this computer: it is always coherent");
            }

            if (setup.Options.Count != 0)
            {
                return Refuse($"it has no setting '{setup.Options.Keys.First()}'");
            }

            return start(setup.PasidBits) is { } hardware
                ? OpResult<ITestHardware>.Ok(hardware)
                : Refuse($"{whyNot}: {setup.PasidBits} bits cannot be shown");
        }

        private OpResult<ITestHardware> Refuse(string why) =>
            OpResult<ITestHardware>.Refuse(Errno.EOPNOTSUPP, $"{Name} {Architecture}: {why}");
    }
}
