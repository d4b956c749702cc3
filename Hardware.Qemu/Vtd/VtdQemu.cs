// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Qemu.Hardware;

namespace PasidFramework.Qemu.Vtd;

/// <summary>What QEMU's VT-d walks. One machine has one of them.</summary>
internal enum VtdStage
{
    /// <summary>First stage, for the page tables of processes (ECAP.FSTS).</summary>
    First,

    /// <summary>Second stage (ECAP.SSTS).</summary>
    Second,
}

/// <summary>
/// QEMU's VT-d in scalable mode. Its devices cannot send a PASID with a request, so each of them stands for one PASID.
/// </summary>
/// <remarks>
/// <para>On 10.x RID_PASID of the driver's own context entry is set (Intel VT-d, D51397-018 (rev 5.10), section 9.4),
/// so directory and table are walked by index, and invalidations of the PASID are judged. Only that the PASID came with
/// the request is not shown.</para>
/// <para>11.x ignores the field and walks PASID 0. There the context entry leads to a scratch directory; before each
/// access the entry of the PASID is copied to its slot 0 and the caches are emptied. That judges the entry's bytes and
/// the page tables, not the index, and no invalidation.</para>
/// </remarks>
internal sealed class VtdQemu : QemuHardware
{
    /// <summary>Most devices of one machine: PCI slots 3 to 30.</summary>
    public const int MaxDevices = 28;

    private const ulong RegisterBase = 0xFED9_0000;
    private const ulong FirstBar = 0xE000_0000;
    private const int FirstSlot = 3;
    private const uint RidPasid = 0xF_FFFF;
    private const int PageBytes = 4096;
    private readonly VtdQemuRegisters _registers;
    private readonly bool _ignoresRidPasid;

    // 11.x only: a directory and, behind it, a table for each device, and the driver's own directory.
    private readonly Dictionary<RequesterId, ulong> _scratch = [];
    private readonly Dictionary<RequesterId, (ulong Address, int Entries)> _directories = [];
    private bool _recordIsOld;

    private VtdQemu(QemuMachine machine, int devices, int pasidBits)
        : base(machine)
    {
        _ignoresRidPasid = IgnoresRidPasid(machine.Setup.Installation);
        _registers = new VtdQemuRegisters(machine.Client, RegisterBase, pasidBits);
        AddDevices(new PortPciConfiguration(machine.Client), FirstSlot, devices, FirstBar);
        if (_ignoresRidPasid)
        {
            foreach (RequesterId requester in Requesters)
            {
                _scratch.Add(requester, Ram.AllocatePages(2 * PageBytes).Value);
            }
        }
    }

    public override IRegisterFile Registers => _registers;

    public override TestHardwareTraits Traits => _ignoresRidPasid
        ? TestHardwareTraits.ManyProcesses
        : TestHardwareTraits.KeepsTranslations | TestHardwareTraits.Concurrent | TestHardwareTraits.ManyProcesses
            | TestHardwareTraits.Forgets;

    /// <summary>Whether a version has no use for RID_PASID.</summary>
    public static bool IgnoresRidPasid(QemuInstallation installation) => installation.Version.Major >= 11;

    /// <param name="devices">1 to <see cref="MaxDevices"/>.</param>
    /// <param name="pasidBits">PASID width that is reported, 0 to 20.</param>
    /// <exception cref="QemuException">It does not start.</exception>
    public static VtdQemu Start(
        QemuInstallation installation, int devices, int pasidBits = Pasid.MaxBits, VtdStage stage = VtdStage.First)
    {
        ArgumentNullException.ThrowIfNull(installation);
        string properties = IgnoresRidPasid(installation)
            ? "scalable-mode=on,aw-bits=48,pasid-bits=20,fsts="
            : "x-scalable-mode=on,aw-bits=48,x-pasid-mode=on,x-flts=";
        return Start(devices, MaxDevices, () => new QemuMachineSetup
        {
            Installation = installation,
            Target = QemuTarget.X86,
            Machine = QuietPc,
            RamBase = 0,
            Arguments =
            [
                "-device", $"intel-iommu,intremap=off,{properties}{(stage == VtdStage.First ? "on" : "off")}",
                .. EduArguments(FirstSlot, devices),
            ],
        }, machine => new VtdQemu(machine, devices, pasidBits));
    }

    /// <summary>A record of a fault in the page tables does on 10.x; one of a fault in directory or table has none (PP
    /// 0), and so has every one on 11.x.</summary>
    public override bool NamesPasid(RequesterId requester, Pasid pasid) => !_ignoresRidPasid;

    public override void DropCaches() => BetweenAccesses(_registers.DropCaches);

    protected override OpResult Arm(QemuChannel channel, Pasid pasid)
    {
        RequesterId requester = channel.Edu.Requester;
        ulong at = ContextEntry(requester);
        ulong low = at == 0 ? 0 : Ram.ReadQword(at);
        if ((low & 1) == 0)
        {
            return OpResult.Refuse(Errno.ENODEV, $"{requester} has no context entry: its driver has not added it");
        }

        if (!_ignoresRidPasid)
        {
            ulong high = Ram.ReadQword(at + 8);
            if ((high & RidPasid) != pasid.Value)
            {
                Ram.WriteQword(at + 8, (high & ~(ulong)RidPasid) | pasid.Value);
            }

            return OpResult.Ok;
        }

        ulong scratch = _scratch[requester];
        if ((low & ~0xFFFUL) != scratch)
        {
            // Section 9.4: PDTS is bits 11:9, the directory has 2^(PDTS + 7) entries.
            _directories[requester] = (low & ~0xFFFUL, 1 << (7 + (int)((low >> 9) & 7)));
            Ram.WriteQword(at, scratch | (low & 0xFFF));
        }

        return OpResult.Ok;
    }

    /// <remarks>A driver that removed the device and added it again has written the context entry anew.</remarks>
    protected override bool IsForgotten(QemuChannel channel)
    {
        ulong at = ContextEntry(channel.Edu.Requester);
        return at != 0 && (_ignoresRidPasid
            ? Ram.ReadQword(at) >> 12 != _scratch[channel.Edu.Requester] >> 12
            : (Ram.ReadQword(at + 8) & RidPasid) != channel.Pasid?.Value);
    }

    protected override void BeforeAccess(QemuChannel channel, Pasid pasid)
    {
        _recordIsOld = !_registers.TryDiscardFault();

        // Where the driver has removed the device the access takes place all the same, and faults.
        if (Arm(channel, pasid).IsOk && _ignoresRidPasid)
        {
            CopyToSlotZero(channel.Edu.Requester, pasid.Value);
            _registers.DropCaches();
        }
    }

    protected override TranslationResult? Fault()
    {
        (ulong low, ulong high) = _registers.PeekFault();
        if (_recordIsOld || high == 0)
        {
            return null;
        }

        LastFault = [low, high];
        int reason = (int)((high >> 32) & 0xFF);
        return new TranslationResult(
            TranslationStatus.Faulted, 0, 0, reason, Text($"{reason:x2}h by {new RequesterId((uint)high & 0xFFFF)}"));
    }

    // 0 where there is none.
    private ulong ContextEntry(RequesterId requester)
    {
        ulong half = Ram.ReadQword(_registers.Root + ((ulong)requester.Bus * 16) + (requester.DevFn >= 0x80 ? 8UL : 0));
        return (half & 1) == 0 ? 0 : (half & ~0xFFFUL) + ((ulong)(requester.DevFn & 0x7F) * 32);
    }

    // Sections 9.5 and 9.6: a directory entry for 64 entries of 64 bytes.
    private void CopyToSlotZero(RequesterId requester, uint pasid)
    {
        (ulong directory, int entries) = _directories[requester];
        ulong scratch = _scratch[requester];
        ulong entry = pasid >> 6 < (uint)entries ? Ram.ReadQword(directory + ((ulong)(pasid >> 6) * 8)) : 0;
        Ram.WriteQword(scratch, (entry & 1) == 0 ? entry : (scratch + PageBytes) | (entry & 0xFFF));
        if ((entry & 1) != 0)
        {
            Span<byte> words = stackalloc byte[64];
            Ram.Read((entry & ~0xFFFUL) + ((pasid & 63) * 64UL), words);
            Ram.Write(scratch + PageBytes, words);
        }
    }
}
