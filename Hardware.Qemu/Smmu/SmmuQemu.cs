using System.Globalization;
using PasidFramework.Hardware;
using PasidFramework.Qemu.Devices;

namespace PasidFramework.Qemu.Smmu;

/// <summary>
/// QEMU's SMMUv3 as hardware behind the seam. Its devices have no substreams, so each of them stands for one PASID of a
/// device: see <see cref="Carry"/> for how, and for what that proves.
/// </summary>
/// <remarks>Not safe for concurrent accesses.</remarks>
public sealed class SmmuQemu : IIommuHardware
{
    /// <summary>Most channels of one machine: PCI slots 1 to 30.</summary>
    public const int MaxChannels = 30;

    private const ulong RegisterBase = 0x0905_0000;
    private const ulong ConfigurationWindow = 0x3F00_0000;
    private const ulong FirstBar = 0x1000_0000;
    private const ulong BarStride = 0x10_0000;
    private const ulong RamStart = 0x4000_0000;
    private const int OwnTableLog2 = 8;
    private const ulong AddressBits = 0x000F_FFFF_FFFF_FFC0;

    private readonly QemuMachine _machine;
    private readonly Dictionary<RequesterId, Channel> _channels = [];
    private readonly HashSet<ulong> _landing = [];
    private readonly SmmuQemuRegisters _registers;
    private readonly ulong _ownTable;
    private readonly ulong _noContext;

    private SmmuQemu(QemuMachine machine, int channels)
    {
        _machine = machine;
        _registers = new SmmuQemuRegisters(machine.Client, RegisterBase);
        _ownTable = Ram.AllocatePages(64 << OwnTableLog2, 64 << OwnTableLog2).Value;
        _noContext = Ram.AllocatePages(4096).Value;
        _registers.SetOwnTable(_ownTable, OwnTableLog2);
        var pci = new MappedPciConfiguration(machine.Client, ConfigurationWindow);
        ulong page = Ram.AllocatePages(4096).Value;
        for (int i = 0; i < channels; i++)
        {
            var requester = new RequesterId((uint)(1 + i) << 3);
            var edu = new EduDevice(machine, pci, requester, FirstBar + ((ulong)i * BarStride));

            // Translation is off: the mark goes into the device now and stays there, because it only stores from here on.
            ulong mark = 0xD0A0_5EED_0000_0000 | requester.Value;
            Ram.WriteQword(page, mark);
            edu.Load(page);
            _channels.Add(requester, new Channel(edu, mark));
        }

        Ram.FreePages(page, 4096);
    }

    /// <summary>Requesters (StreamIDs) of the devices.</summary>
    public IReadOnlyList<RequesterId> Channels => [.. _channels.Keys];

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

    /// <summary>The last event record, low word first; empty before the first one.</summary>
    public IReadOnlyList<ulong> LastFault { get; private set; } = [];

    /// <summary>Starts a machine.</summary>
    /// <param name="installation">Which QEMU, 10.0 or newer.</param>
    /// <param name="channels">How many devices, 1 to <see cref="MaxChannels"/>.</param>
    /// <exception cref="QemuException">It does not start.</exception>
    public static SmmuQemu Start(QemuInstallation installation, int channels)
    {
        ArgumentNullException.ThrowIfNull(installation);
        ArgumentOutOfRangeException.ThrowIfLessThan(channels, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(channels, MaxChannels);
        if (installation.Version.Major < 10)
        {
            throw new QemuException($"{installation}: 10.0 is the oldest version whose SMMUv3 is known");
        }

        List<string> arguments = ["-cpu", "cortex-a57"];
        for (int i = 0; i < channels; i++)
        {
            arguments.Add("-device");
            arguments.Add(string.Create(
                CultureInfo.InvariantCulture, $"edu,addr={1 + i:x}.0,dma_mask=0xffffffffffffffff"));
        }

        QemuMachine machine = QemuMachine.Start(new QemuMachineSetup
        {
            Installation = installation,
            Target = QemuTarget.Arm,
            Machine = "virt,iommu=smmuv3,highmem-ecam=off",
            RamBase = RamStart,
            Arguments = arguments,
        });
        try
        {
            return new SmmuQemu(machine, channels);
        }
        catch
        {
            machine.Dispose();
            throw;
        }
    }

    /// <summary>Makes a device stand for one PASID.</summary>
    /// <param name="channel">The device.</param>
    /// <param name="pasid">The number.</param>
    /// <remarks>QEMU walks a stream table of this project, in which the device's entry is the driver's with S1CDMax 0 and
    /// S1ContextPtr at the driver's context descriptor of that number. That judges the descriptor, the page tables and every
    /// command; S1CDMax, S1Fmt, S1DSS and first-level descriptors are followed by this project and not judged.</remarks>
    public void Carry(RequesterId channel, Pasid pasid) => _channels[channel].Pasid = pasid;

    /// <summary>Watches a page in which DMA may land.</summary>
    /// <param name="page">Guest physical address, a multiple of 4096.</param>
    public void Watch(ulong page) => _landing.Add(page);

    /// <inheritdoc/>
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

        WriteOwnEntry(access.Requester, channel.Pasid!.Value);
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

        TranslationResult? fault = TakeEvents();
        return found != 0
            ? new TranslationResult(TranslationStatus.Translated, found, 0, 0, null)
            : fault ?? new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, null);
    }

    /// <inheritdoc/>
    public void Dispose() => _machine.Dispose();

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
            return table + (stream * 64UL);
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
        int leafBits = ((first >> 4) & 3) switch
        {
            1 => 6,
            2 => 10,
            _ => 0,
        };
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

    private TranslationResult? TakeEvents()
    {
        const int QueueBase = 0xA0;
        const int Producer = 0x100A8;
        const int Consumer = 0x100AC;
        ulong register = _registers.Read64(QueueBase);
        int log2 = (int)(register & 0x1F);
        uint producer = _registers.Read32(Producer);
        uint consumer = _registers.Read32(Consumer);
        uint mask = (2u << log2) - 1;
        if (((producer ^ consumer) & mask) == 0)
        {
            return null;
        }

        // A transfer of 8 bytes is two accesses, each with its record: the first one tells.
        ulong at = (register & 0x000F_FFFF_FFFF_FFE0) + ((consumer & (mask >> 1)) * 32UL);
        LastFault = [.. Enumerable.Range(0, 4).Select(i => Ram.ReadQword(at + ((ulong)i * 8)))];
        _registers.Write32(Consumer, producer);
        int code = (int)(LastFault[0] & 0xFF);
        return new TranslationResult(TranslationStatus.Faulted, 0, 0, code, string.Create(
            CultureInfo.InvariantCulture, $"event {code:x2}h by stream 0x{LastFault[0] >> 32:x}"));
    }

    private sealed class Channel(EduDevice edu, ulong mark)
    {
        public EduDevice Edu { get; } = edu;

        public ulong Mark { get; } = mark;

        public Pasid? Pasid { get; set; }
    }
}
