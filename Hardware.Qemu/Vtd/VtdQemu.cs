using System.Globalization;
using PasidFramework.Hardware;
using PasidFramework.Qemu.Devices;

namespace PasidFramework.Qemu.Vtd;

/// <summary>
/// QEMU's VT-d (scalable mode, first stage) as hardware behind the seam. Its devices cannot send a PASID with a request, so
/// each of them stands for one PASID of a device: see <see cref="Carry"/> for how, and for what that proves.
/// </summary>
/// <remarks>Not safe for concurrent accesses.</remarks>
public sealed class VtdQemu : IIommuHardware
{
    /// <summary>Most channels of one machine: PCI slots 3 to 30.</summary>
    public const int MaxChannels = 28;

    private const ulong RegisterBase = 0xFED9_0000;
    private const ulong FirstBar = 0xE000_0000;
    private const ulong BarStride = 0x10_0000;
    private const int FirstSlot = 3;

    private readonly QemuMachine _machine;
    private readonly Dictionary<RequesterId, Channel> _channels = [];
    private readonly HashSet<ulong> _landing = [];
    private readonly VtdQemuRegisters _registers;

    private VtdQemu(QemuMachine machine, int channels)
    {
        _machine = machine;
        IgnoresRidPasid = machine.Setup.Installation.Version.Major >= 11;
        _registers = new VtdQemuRegisters(machine.Client, RegisterBase);
        var pci = new PortPciConfiguration(machine.Client);
        OpResult<ulong> page = machine.Memory.AllocatePages(4096);
        for (int i = 0; i < channels; i++)
        {
            var requester = new RequesterId((uint)(FirstSlot + i) << 3);
            var edu = new EduDevice(machine, pci, requester, FirstBar + ((ulong)i * BarStride));

            // Translation is off: the mark goes into the device now and stays there, because it only stores from here on.
            ulong mark = 0xD0A0_5EED_0000_0000 | requester.Value;
            machine.Memory.WriteQword(page.Value, mark);
            edu.Load(page.Value);
            _channels.Add(requester, new Channel(edu, mark));
        }

        machine.Memory.FreePages(page.Value, 4096);
    }

    /// <summary>Requesters of the devices.</summary>
    public IReadOnlyList<RequesterId> Channels => [.. _channels.Keys];

    /// <summary>
    /// Whether RID_PASID is ignored (11.x): then entries are copied to slot 0 of a scratch table before each access, which
    /// checks their bytes and neither the index arithmetic nor the invalidations.
    /// </summary>
    public bool IgnoresRidPasid { get; }

    /// <summary>Which QEMU.</summary>
    public QemuInstallation Installation => _machine.Setup.Installation;

    /// <summary>The guest's RAM.</summary>
    public QemuMemory Ram => _machine.Memory;

    /// <inheritdoc/>
    public IPhysicalMemory Memory => _machine.Memory;

    /// <inheritdoc/>
    public IRegisterFile Registers => _registers;

    /// <inheritdoc/>
    public bool IsCoherent => true;

    /// <summary>The last fault record as it was in the registers, low word first; empty before the first one.</summary>
    public IReadOnlyList<ulong> LastFault { get; private set; } = [];

    /// <summary>Starts a machine.</summary>
    /// <param name="installation">Which QEMU, 10.0 or newer.</param>
    /// <param name="channels">How many devices, 1 to <see cref="MaxChannels"/>.</param>
    /// <exception cref="QemuException">It does not start, or has no first-stage translation.</exception>
    public static VtdQemu Start(QemuInstallation installation, int channels)
    {
        ArgumentNullException.ThrowIfNull(installation);
        ArgumentOutOfRangeException.ThrowIfLessThan(channels, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(channels, MaxChannels);
        if (installation.Version.Major < 10)
        {
            throw new QemuException($"{installation} has no first-stage translation; 10.0 is the oldest that has");
        }

        string properties = installation.Version.Major >= 11
            ? "scalable-mode=on,aw-bits=48,pasid-bits=20,fsts=on"
            : "x-scalable-mode=on,aw-bits=48,x-pasid-mode=on,x-flts=on";
        List<string> arguments = ["-device", $"intel-iommu,intremap=off,{properties}"];
        for (int i = 0; i < channels; i++)
        {
            arguments.Add("-device");
            arguments.Add(string.Create(
                CultureInfo.InvariantCulture, $"edu,addr={FirstSlot + i:x}.0,dma_mask=0xffffffffffffffff"));
        }

        QemuMachine machine = QemuMachine.Start(new QemuMachineSetup
        {
            Installation = installation,
            Target = QemuTarget.X86,
            Machine = "q35",
            RamBase = 0,
            Arguments = arguments,
        });
        try
        {
            return new VtdQemu(machine, channels);
        }
        catch
        {
            machine.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Makes a device stand for one PASID: its requests without a PASID use this number. Call it after the driver added the
    /// device and before its first access, so that nothing of it is cached.
    /// </summary>
    /// <param name="channel">The device.</param>
    /// <param name="pasid">The number.</param>
    /// <remarks>On 10.x RID_PASID of the driver's own context entry is set (VT-d 9.4), so directory and table are walked by
    /// index and invalidations of the PASID are judged; only that the number came with the request is not shown.</remarks>
    public void Carry(RequesterId channel, Pasid pasid)
    {
        Channel one = _channels[channel];
        one.Pasid = pasid;
        ulong at = ContextEntry(channel);
        if (!IgnoresRidPasid)
        {
            Ram.WriteQword(at + 8, (Ram.ReadQword(at + 8) & ~0xF_FFFFUL) | pasid.Value);
            return;
        }

        ulong first = Ram.ReadQword(at);
        one.Directory = first & ~0xFFFUL;
        one.Scratch = Ram.AllocatePages(2 * 4096).Value;
        Ram.WriteQword(at, one.Scratch | (first & 0xFFF));
    }

    /// <summary>Watches a page in which DMA may land.</summary>
    /// <param name="page">Guest physical address, a multiple of 4096.</param>
    public void Watch(ulong page) => _landing.Add(page);

    /// <inheritdoc/>
    /// <remarks>The device stores its mark, and the page that shows it is the answer; the page is restored. A store that
    /// lands in no watched page and leaves no fault record is <see cref="TranslationStatus.AbortedQuietly"/>, unless a look
    /// through the whole RAM finds it.</remarks>
    /// <exception cref="ArgumentException">The device does not stand for this PASID, the access is a read, or its address
    /// is not a multiple of 8.</exception>
    public TranslationResult Translate(in DmaAccess access)
    {
        if (!_channels.TryGetValue(access.Requester, out Channel? channel) || channel.Pasid != access.Pasid)
        {
            throw new ArgumentException(
                $"no device {access.Requester} stands for PASID {access.Pasid}", nameof(access));
        }

        if (!access.IsWrite || (access.Address & 7) != 0)
        {
            throw new ArgumentException("only stores of 8 aligned bytes can be observed", nameof(access));
        }

        if (IgnoresRidPasid)
        {
            CopyToSlotZero(channel);
        }

        ulong offset = access.Address & 0xFFF;
        ulong[] before = [.. _landing.Select(page => Ram.ReadQword(page + offset))];
        channel.Edu.Store(access.Address);
        int i = 0;
        ulong found = 0;
        foreach (ulong page in _landing)
        {
            if (Ram.ReadQword(page + offset) == channel.Mark)
            {
                found = page + offset;
                Ram.WriteQword(found, before[i]);
            }

            i++;
        }

        TranslationResult? fault = TakeFault(access.Requester);
        return found != 0
            ? new TranslationResult(TranslationStatus.Translated, found, 0, 0, null)
            : fault ?? new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, null);
    }

    /// <inheritdoc/>
    public void Dispose() => _machine.Dispose();

    private ulong ContextEntry(RequesterId requester)
    {
        ulong root = _registers.Read64(0x20) & ~0xFFFUL;
        ulong half = Ram.ReadQword(root + ((ulong)requester.Bus * 16) + (requester.DevFn >= 0x80 ? 8UL : 0));
        if ((half & 1) == 0)
        {
            throw new InvalidOperationException($"no context table for {requester}: the driver has not added it");
        }

        return (half & ~0xFFFUL) + ((ulong)(requester.DevFn & 0x7F) * 32);
    }

    // RID_PASID is ignored and the walk uses PASID 0: the device gets a directory of its own, and what the driver wrote for
    // the PASID stands in its slot 0. Setting the root pointer again makes QEMU forget all that it has cached.
    private void CopyToSlotZero(Channel channel)
    {
        uint pasid = channel.Pasid!.Value.Value;
        ulong entry = Ram.ReadQword(channel.Directory + ((ulong)(pasid >> 6) * 8));
        Ram.WriteQword(channel.Scratch, (entry & 1) == 0 ? entry : (channel.Scratch + 4096) | (entry & 0xFFF));
        if ((entry & 1) != 0)
        {
            Span<byte> words = stackalloc byte[64];
            Ram.Read((entry & ~0xFFFUL) + ((pasid & 63) * 64UL), words);
            Ram.Write(channel.Scratch + 4096, words);
        }

        const int GlobalCommand = 0x18;
        const uint SetRootPointer = 1u << 30;
        const uint Persistent = 0x96FF_FFFF;
        _registers.Write32(GlobalCommand, (_registers.Read32(GlobalCommand + 4) & Persistent) | SetRootPointer);
    }

    private TranslationResult? TakeFault(RequesterId requester)
    {
        const int FaultStatus = 0x34;
        int record = 16 * (int)((_registers.Read64(8) >> 24) & 0x3FF);
        uint status = _registers.Read32(FaultStatus);
        ulong high = _registers.Read64(record + 8);
        if (high >> 63 == 0)
        {
            return null;
        }

        ulong low = _registers.Read64(record);
        LastFault = [low, high];
        _registers.Write32(record + 12, 1u << 31);
        _registers.Write32(FaultStatus, status & 1);
        int reason = (int)((high >> 32) & 0xFF);
        return new TranslationResult(TranslationStatus.Faulted, 0, 0, reason, string.Create(
            CultureInfo.InvariantCulture, $"{reason:x2}h by {new RequesterId((uint)high & 0xFFFF)}"));
    }

    private sealed class Channel(EduDevice edu, ulong mark)
    {
        public EduDevice Edu { get; } = edu;

        public ulong Mark { get; } = mark;

        public Pasid? Pasid { get; set; }

        /// <summary>The driver's directory.</summary>
        public ulong Directory { get; set; }

        /// <summary>A directory and, behind it, a table.</summary>
        public ulong Scratch { get; set; }
    }
}
