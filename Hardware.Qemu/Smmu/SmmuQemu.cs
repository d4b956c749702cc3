// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Qemu.Hardware;

namespace PasidFramework.Qemu.Smmu;

/// <summary>
/// QEMU's SMMUv3. Its devices have no substreams, so each of them stands for one PASID: QEMU walks a stream table of
/// this back end, in which the device's entry is the driver's with S1CDMax 0 and S1ContextPtr at the driver's context
/// descriptor of that PASID.
/// </summary>
/// <remarks>That judges the descriptor, the page tables and every command. S1CDMax, S1Fmt, S1DSS and first-level
/// descriptors are followed by this back end and not judged.</remarks>
internal sealed class SmmuQemu : QemuHardware
{
    /// <summary>Most devices of one machine: PCI slots 1 to 30.</summary>
    public const int MaxDevices = 30;

    private const ulong RegisterBase = 0x0905_0000;
    private const ulong ConfigurationWindow = 0x3F00_0000;
    private const ulong FirstBar = 0x1000_0000;
    private const ulong RamStart = 0x4000_0000;
    private const int FirstSlot = 1;
    private const int OwnTableLog2 = 8;
    private const ulong AddressBits = 0x000F_FFFF_FFFF_FFC0;
    private readonly SmmuQemuRegisters _registers;
    private readonly ulong _ownTable;

    // Zeros: a descriptor that is not valid.
    private readonly ulong _noContext;

    private SmmuQemu(QemuMachine machine, int devices, int pasidBits)
        : base(machine)
    {
        _registers = new SmmuQemuRegisters(machine.Client, RegisterBase, Ram, pasidBits)
        {
            ConfigurationForgotten = Forget,
        };
        _ownTable = Ram.AllocatePages(64 << OwnTableLog2, 64 << OwnTableLog2).Value;
        _noContext = Ram.AllocatePages(4096).Value;
        _registers.SetOwnTable(_ownTable, OwnTableLog2);
        AddDevices(new MappedPciConfiguration(machine.Client, ConfigurationWindow), FirstSlot, devices, FirstBar);
    }

    public override IRegisterFile Registers => _registers;

    public override TestHardwareTraits Traits => TestHardwareTraits.KeepsTranslations
        | TestHardwareTraits.KeepsConfiguration | TestHardwareTraits.Silence | TestHardwareTraits.Concurrent
        | TestHardwareTraits.ManyProcesses;

    /// <param name="devices">1 to <see cref="MaxDevices"/>.</param>
    /// <param name="pasidBits">PASID width that is reported, 0 to 20.</param>
    /// <exception cref="QemuException">It does not start.</exception>
    public static SmmuQemu Start(QemuInstallation installation, int devices, int pasidBits = Pasid.MaxBits)
    {
        ArgumentNullException.ThrowIfNull(installation);
        return Start(devices, MaxDevices, () => new QemuMachineSetup
        {
            Installation = installation,
            Target = QemuTarget.Arm,
            Machine = "virt,iommu=smmuv3,highmem-ecam=off",
            RamBase = RamStart,
            Arguments = ["-cpu", "cortex-a57", .. EduArguments(FirstSlot, devices)],
        }, machine => new SmmuQemu(machine, devices, pasidBits));
    }

    /// <summary>No: the model has no substreams.</summary>
    public override bool NamesPasid(RequesterId requester, Pasid pasid) => false;

    protected override OpResult Arm(QemuChannel channel, Pasid pasid) => OpResult.Ok;

    protected override void BeforeAccess(QemuChannel channel, Pasid pasid)
    {
        _registers.DiscardEvents();
        WriteOwnEntry(channel.Edu.Requester, pasid);
    }

    protected override TranslationResult? Fault()
    {
        ulong[] words = _registers.PeekEvent();
        if (words.Length == 0)
        {
            return null;
        }

        LastFault = words;
        int code = (int)(words[0] & 0xFF);
        return new TranslationResult(
            TranslationStatus.Faulted, 0, 0, code, Text($"event {code:x2}h by stream 0x{words[0] >> 32:x}"));
    }

    private void Forget(uint? stream)
    {
        foreach (QemuChannel channel in Channels)
        {
            channel.IsUsed &= stream is not null && stream != channel.Edu.Requester.Value;
        }
    }

    // QEMU reads it again only after the driver's own invalidation of the stream.
    private void WriteOwnEntry(RequesterId requester, Pasid pasid)
    {
        ulong own = _ownTable + (requester.Value * 64UL);
        ulong entry = DriverEntry(requester.Value);
        Span<ulong> words = stackalloc ulong[8];
        for (int i = 0; i < words.Length && entry != 0; i++)
        {
            words[i] = Ram.ReadQword(entry + ((ulong)i * 8));
        }

        const ulong Stage1 = 5;
        if ((words[0] & 1) != 0 && ((words[0] >> 1) & 7) == Stage1)
        {
            ulong context = Context(words[0], pasid.Value);
            const ulong ValidAndConfig = 0xF;
            words[0] = (words[0] & ValidAndConfig) | (context == 0 ? _noContext : context);
        }

        for (int i = 7; i >= 0; i--)
        {
            Ram.WriteQword(own + ((ulong)i * 8), words[i]);
        }
    }

    // IHI 0070 5.1: linear, or two levels with SPLIT.
    private ulong DriverEntry(uint stream)
    {
        ulong table = _registers.DriverTable & AddressBits;
        uint config = _registers.DriverConfig;
        if (((config >> 16) & 3) == 0)
        {
            return stream >> (int)(config & 0x3F) == 0 ? table + (stream * 64UL) : 0;
        }

        int split = (int)((config >> 6) & 0x1F);
        ulong first = Ram.ReadQword(table + ((ulong)(stream >> split) * 8));
        int span = (int)(first & 0x1F);
        uint index = stream & ((1u << split) - 1);
        return span == 0 || index >> (span - 1) != 0 ? 0 : (first & AddressBits) + (index * 64UL);
    }

    // IHI 0070 5.4: linear, or first-level descriptors with leaves of 4 or 64 KiB.
    private ulong Context(ulong first, uint pasid)
    {
        ulong table = first & AddressBits;
        int leafBits = ((first >> 4) & 3) switch { 1 => 6, 2 => 10, _ => 0 };
        if (pasid >> (int)(first >> 59) != 0)
        {
            return 0;
        }

        if (leafBits == 0)
        {
            return table + (pasid * 64UL);
        }

        ulong descriptor = Ram.ReadQword(table + ((ulong)(pasid >> leafBits) * 8));
        return (descriptor & 1) == 0
            ? 0
            : (descriptor & AddressBits & ~0xFFFUL) + ((pasid & ((1u << leafBits) - 1)) * 64UL);
    }
}
