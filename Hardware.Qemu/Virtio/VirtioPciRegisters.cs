// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Qemu.Virtio;

/// <summary>
/// A virtio PCI device seen as virtio-mmio registers (virtio 1.2, section 4.2.2), which is what a driver speaks: every
/// access goes to the register of the same meaning in the PCI capabilities (section 4.1.4).
/// </summary>
/// <remarks>Safe for concurrent use as far as the registers are.</remarks>
internal sealed class VirtioPciRegisters : IRegisterFile
{
    public const int Status = 0x70;

    /// <summary>Offset of the device's configuration space.</summary>
    public const int Config = 0x100;

    private const int VendorCapability = 9;
    private const int CommonStructure = 1;
    private const int NotifyStructure = 2;
    private const int InterruptStructure = 3;
    private const int DeviceStructure = 4;
    private readonly QTestClient _client;
    private readonly Dictionary<int, ulong> _structures = [];
    private readonly uint _deviceId;
    private readonly ulong[] _doorbells;
    private readonly ulong[,] _rings;
    private readonly int[] _sizes;
    private uint _queue;

    /// <summary>Finds the device's structures and maps its BAR.</summary>
    /// <param name="bar">Where its memory BAR goes.</param>
    /// <exception cref="QemuException">It is not a modern virtio device.</exception>
    public VirtioPciRegisters(QTestClient client, IPciConfiguration pci, RequesterId requester, ulong bar)
    {
        _client = client;
        uint identity = pci.Read(requester, 0);
        if ((identity & 0xFFFF) != 0x1AF4 || identity >> 16 < 0x1040)
        {
            throw new QemuException(Text($"no modern virtio device at {requester}: its identity is 0x{identity:x}"));
        }

        _deviceId = (identity >> 16) - 0x1040;
        uint notifyMultiplier = 0;
        int pointer = (int)(pci.Read(requester, 0x34) & 0xFC);
        int mapped = -1;
        for (int steps = 0; pointer != 0 && steps < 48; steps++)
        {
            uint head = pci.Read(requester, pointer);
            int type = (int)(head >> 24);
            if ((head & 0xFF) == VendorCapability && type is >= CommonStructure and <= DeviceStructure)
            {
                int index = (int)(pci.Read(requester, pointer + 4) & 0xFF);
                if (mapped >= 0 && mapped != index)
                {
                    throw new QemuException($"the virtio device {requester} uses several BARs");
                }

                mapped = index;
                _structures.TryAdd(type, bar + pci.Read(requester, pointer + 8));
                if (type == NotifyStructure)
                {
                    notifyMultiplier = pci.Read(requester, pointer + 16);
                }
            }

            pointer = (int)((head >> 8) & 0xFC);
        }

        if (_structures.Count < DeviceStructure)
        {
            throw new QemuException($"the virtio device {requester} lacks capabilities");
        }

        pci.Write(requester, 0x10 + (mapped * 4), (uint)bar);
        pci.Write(requester, 0x14 + (mapped * 4), (uint)(bar >> 32));
        const uint MemoryAndBusMaster = 6;
        pci.Write(requester, 4, MemoryAndBusMaster);

        // The offset of a queue's doorbell is read with that queue selected: once, so that a notification is one write.
        _doorbells = new ulong[_client.Read16(Common + 0x12)];
        for (int queue = 0; queue < _doorbells.Length; queue++)
        {
            _client.Write16(Common + 0x16, (uint)queue);
            _doorbells[queue] = _structures[NotifyStructure] + (_client.Read16(Common + 0x1E) * notifyMultiplier);
        }

        _client.Write16(Common + 0x16, 0);
        _sizes = new int[_doorbells.Length];
        _rings = new ulong[_doorbells.Length, 3];
    }

    /// <summary>Called with each queue that the driver is about to notify the device of.</summary>
    public Action<int> Notifying { get; set; } = _ => { };

    private ulong Common => _structures[CommonStructure];

    /// <summary>Where the driver has put a queue: size 0 before it did, and after a reset.</summary>
    public VirtioRing Ring(int queue) => new(_sizes[queue], _rings[queue, 0], _rings[queue, 1], _rings[queue, 2]);

    public uint Read32(int offset) => offset switch
    {
        0x000 => 0x7472_6976,
        0x004 => 2,
        0x008 => _deviceId,
        0x00C => 0x1AF4,
        0x010 => _client.Read32(Common + 4),
        0x034 => _client.Read16(Common + 0x18),
        0x044 => _client.Read16(Common + 0x1C),
        0x060 => _client.Read8(_structures[InterruptStructure]),
        Status => _client.Read8(Common + 0x14),
        0x0FC => _client.Read8(Common + 0x15),
        >= Config => _client.Read32(_structures[DeviceStructure] + (ulong)(offset - Config)),
        _ => 0,
    };

    public ulong Read64(int offset) => Read32(offset) | ((ulong)Read32(offset + 4) << 32);

    public void Write32(int offset, uint value)
    {
        switch (offset)
        {
            case 0x014:
                _client.Write32(Common, value);
                break;
            case 0x020:
                _client.Write32(Common + 0xC, value);
                break;
            case 0x024:
                _client.Write32(Common + 8, value);
                break;
            case 0x030:
                _queue = value;
                _client.Write16(Common + 0x16, value);
                break;
            case 0x038:
                _client.Write16(Common + 0x18, value);
                if (_queue < (uint)_sizes.Length)
                {
                    _sizes[_queue] = (int)value;
                }

                break;
            case 0x044:
                _client.Write16(Common + 0x1C, value);
                break;
            case 0x050 when value < (uint)_doorbells.Length:
                Notifying((int)value);
                _client.Write16(_doorbells[value], value);
                break;
            case Status:
                _client.Write8(Common + 0x14, value);
                if (value == 0)
                {
                    Array.Clear(_sizes);
                }

                break;
            case 0x080 or 0x084 or 0x090 or 0x094 or 0x0A0 or 0x0A4:
                WriteAddress((offset - 0x80) >> 4, (offset & 4) != 0, value);
                break;
            case >= Config:
                _client.Write32(_structures[DeviceStructure] + (ulong)(offset - Config), value);
                break;
            default:
                // Interrupt acknowledgement: reading the ISR has done it.
                break;
        }
    }

    public void Write64(int offset, ulong value)
    {
        Write32(offset, (uint)value);
        Write32(offset + 4, (uint)(value >> 32));
    }

    /// <summary>Writes one byte of the device's configuration space.</summary>
    public void WriteConfig8(int offset, uint value) =>
        _client.Write8(_structures[DeviceStructure] + (ulong)offset, value);

    // Descriptors, what the driver offers, what the device used: 8 bytes each, one after the other.
    private void WriteAddress(int part, bool isHigh, uint value)
    {
        _client.Write32(Common + 0x20 + ((ulong)part * 8) + (isHigh ? 4UL : 0), value);
        if (_queue < (uint)_doorbells.Length)
        {
            ref ulong ring = ref _rings[_queue, part];
            ring = isHigh ? (ring & 0xFFFF_FFFF) | ((ulong)value << 32) : (ring & ~0xFFFF_FFFFUL) | value;
        }
    }
}

/// <summary>Where a split virtqueue lies (virtio 1.2, section 2.7).</summary>
/// <param name="Size">Number of descriptors; 0 where the driver has set none up.</param>
/// <param name="Descriptors">Byte address of the descriptor table.</param>
/// <param name="Available">Byte address of the ring that the driver writes.</param>
/// <param name="Used">Byte address of the ring that the device writes.</param>
internal readonly record struct VirtioRing(int Size, ulong Descriptors, ulong Available, ulong Used);
