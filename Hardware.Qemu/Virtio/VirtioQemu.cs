// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Qemu.Hardware;

namespace PasidFramework.Qemu.Virtio;

/// <summary>
/// QEMU's virtio-iommu: the standard's requests, which carry no PASID. A PASID that a device stands for is a name only;
/// what the driver maps in the device's domain is what its requests reach.
/// </summary>
/// <remarks>Sources: OASIS virtio 1.2, sections 2.7 (split virtqueues), 3.1.1 (start of a device), 5.13 (IOMMU
/// device).</remarks>
internal sealed class VirtioQemu : QemuHardware
{
    /// <summary>Most devices of one machine: PCI slots 3 to 30.</summary>
    public const int MaxDevices = 28;

    private const int IommuSlot = 2;
    private const int FirstSlot = 3;
    private const ulong FirstBar = 0xE000_0000;
    private const ulong IommuBar = 0xE800_0000;
    private const int RequestQueue = 0;
    private const int EventQueue = 1;
    private const int BypassOffset = 36;

    // As wide as a process's addresses; the machine's own default is 39.
    private const int AddressBits = 48;
    private readonly VirtioPciRegisters _registers;
    private readonly Lock _requestGate = new();
    private ushort _lastRequest;
    private ushort _lastEvent;
    private bool _hasRoom;

    private VirtioQemu(QemuMachine machine, int devices)
        : base(machine)
    {
        var pci = new PortPciConfiguration(machine.Client);
        _registers = new VirtioPciRegisters(
            machine.Client, pci, new RequesterId(IommuSlot << 3), IommuBar) { Notifying = LookAtRequests };
        AddDevices(pci, FirstSlot, devices, FirstBar);
        DenyUnattached();
    }

    public override IRegisterFile Registers => _registers;

    public override TestHardwareTraits Traits =>
        TestHardwareTraits.Concurrent | TestHardwareTraits.KeepsTranslations;

    public override IReadOnlyDictionary<string, string> UnitOptions { get; } =
        new Dictionary<string, string> { ["dialect"] = "map" };

    /// <param name="devices">1 to <see cref="MaxDevices"/>.</param>
    /// <exception cref="QemuException">It does not start.</exception>
    public static VirtioQemu Start(QemuInstallation installation, int devices)
    {
        ArgumentNullException.ThrowIfNull(installation);
        return Start(devices, MaxDevices, () => new QemuMachineSetup
        {
            Installation = installation,
            Target = QemuTarget.X86,
            Machine = QuietPc,
            RamBase = 0,
            Arguments =
            [
                "-device", Text($"virtio-iommu-pci,addr={IommuSlot:x}.0,aw-bits={AddressBits}"),
                .. EduArguments(FirstSlot, devices),
            ],
        }, machine => new VirtioQemu(machine, devices));
    }

    /// <summary>No: the standard's record has no PASID.</summary>
    public override bool NamesPasid(RequesterId requester, Pasid pasid) => false;

    protected override OpResult Arm(QemuChannel channel, Pasid pasid) => OpResult.Ok;

    protected override void BeforeAccess(QemuChannel channel, Pasid pasid)
    {
        // Records cannot be removed for the driver: the places of the ring are its own.
        VirtioRing ring = _registers.Ring(EventQueue);
        _lastEvent = ring.Size == 0 ? (ushort)0 : Index(ring.Used);
        _hasRoom = ring.Size != 0 && Index(ring.Available) != _lastEvent;
    }

    protected override TranslationResult? Fault()
    {
        VirtioRing ring = _registers.Ring(EventQueue);
        if (!_hasRoom || ring.Size == 0 || Index(ring.Used) == _lastEvent)
        {
            return null;
        }

        uint head = Ram.ReadDword(ring.Used + 4 + ((ulong)(_lastEvent & (ring.Size - 1)) * 8)) & (uint)(ring.Size - 1);
        ulong buffer = Ram.ReadQword(ring.Descriptors + (head * 16UL));
        LastFault = [Ram.ReadQword(buffer), Ram.ReadQword(buffer + 8), Ram.ReadQword(buffer + 16)];
        int reason = (int)(LastFault[0] & 0xFF);
        return new TranslationResult(
            TranslationStatus.Faulted, 0, 0, reason, Text($"reason {reason} for endpoint 0x{(uint)LastFault[1]:x}"));
    }

    // The machine starts with bypass on, which the devices need to take their marks. The setting outlives a reset of
    // the device (section 5.13.6.3.1), so a driver finds it off.
    private void DenyUnattached()
    {
        const uint Acknowledged = 1 | 2;
        const uint FeaturesOk = 8;
        const uint BypassConfig = 1 << 6;
        const uint Version1 = 1;
        _registers.Write32(VirtioPciRegisters.Status, 0);
        _registers.Write32(VirtioPciRegisters.Status, Acknowledged);
        for (uint half = 0; half < 2; half++)
        {
            _registers.Write32(0x24, half);
            _registers.Write32(0x20, half == 0 ? BypassConfig : Version1);
        }

        _registers.Write32(VirtioPciRegisters.Status, Acknowledged | FeaturesOk);
        _registers.WriteConfig8(BypassOffset, 0);
        _registers.Write32(VirtioPciRegisters.Status, 0);
        if ((_registers.Read32(VirtioPciRegisters.Config + BypassOffset) & 0xFF) != 0)
        {
            throw new QemuException(
                $"{Machine.Setup.Installation}: the virtio-iommu keeps bypass on for devices that are not attached");
        }
    }

    // A device that is attached or detached is another one to QEMU: it may stand for another PASID. Request head and
    // endpoint: section 5.13.6.
    private void LookAtRequests(int queue)
    {
        if (queue != RequestQueue)
        {
            return;
        }

        lock (_requestGate)
        {
            VirtioRing ring = _registers.Ring(RequestQueue);
            ushort end = ring.Size == 0 ? (ushort)0 : Index(ring.Available);
            if ((ushort)(end - _lastRequest) > ring.Size)
            {
                // A queue that was set up anew.
                _lastRequest = 0;
            }

            for (; _lastRequest != end; _lastRequest++)
            {
                ulong at = ring.Available + 4 + ((ulong)(_lastRequest & (ring.Size - 1)) * 2);
                uint head = (Ram.ReadDword(at & ~3UL) >> ((int)(at & 2) * 8)) & 0xFFFF;
                ulong request = Ram.ReadQword(ring.Descriptors + (head * 16UL));
                const uint Attach = 1;
                const uint Detach = 2;
                if ((Ram.ReadDword(request) & 0xFF) is Attach or Detach)
                {
                    uint endpoint = Ram.ReadDword(request + 8);
                    foreach (QemuChannel channel in Channels)
                    {
                        channel.IsUsed &= channel.Edu.Requester.Value != endpoint;
                    }
                }
            }
        }
    }

    // Both rings have their index in the upper half of the first word.
    private ushort Index(ulong ring) => (ushort)(Ram.ReadDword(ring) >> 16);
}
