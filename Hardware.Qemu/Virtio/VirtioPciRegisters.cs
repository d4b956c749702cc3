using System.Globalization;
using PasidFramework.Hardware;
using PasidFramework.Qemu.Devices;

namespace PasidFramework.Qemu.Virtio;

/// <summary>
/// A virtio PCI device seen as virtio-mmio registers (virtio 1.2, 4.2.2), which is what the driver speaks: every access goes
/// to the register of the same meaning in the PCI capabilities (4.1.4).
/// </summary>
internal sealed class VirtioPciRegisters : IRegisterFile
{
    private const int VendorCapability = 9;

    private readonly QTestClient _client;
    private readonly Dictionary<int, ulong> _structures = [];
    private readonly uint _notifyMultiplier;
    private readonly uint _deviceId;
    private uint _queue;

    /// <summary>Finds the device's structures and maps its BAR.</summary>
    /// <param name="client">QTest.</param>
    /// <param name="pci">Configuration space.</param>
    /// <param name="requester">The device.</param>
    /// <param name="bar">Where its memory BAR goes.</param>
    /// <exception cref="QemuException">It is not a modern virtio device.</exception>
    public VirtioPciRegisters(QTestClient client, IPciConfiguration pci, RequesterId requester, ulong bar)
    {
        _client = client;
        uint identity = pci.Read(requester, 0);
        if ((identity & 0xFFFF) != 0x1AF4 || identity >> 16 < 0x1040)
        {
            throw new QemuException(string.Create(
                CultureInfo.InvariantCulture, $"no modern virtio device at {requester}: its identity is 0x{identity:x}"));
        }

        _deviceId = (identity >> 16) - 0x1040;
        int pointer = (int)(pci.Read(requester, 0x34) & 0xFC);
        int mapped = -1;
        for (int steps = 0; pointer != 0 && steps < 48; steps++)
        {
            uint head = pci.Read(requester, pointer);
            if ((head & 0xFF) == VendorCapability)
            {
                int type = (int)(head >> 24);
                int index = (int)(pci.Read(requester, pointer + 4) & 0xFF);
                uint offset = pci.Read(requester, pointer + 8);
                if (type is >= 1 and <= 4 && _structures.TryAdd(type, bar + offset))
                {
                    if (mapped >= 0 && mapped != index)
                    {
                        throw new QemuException($"the virtio device {requester} uses several BARs");
                    }

                    mapped = index;
                    if (type == 2)
                    {
                        _notifyMultiplier = pci.Read(requester, pointer + 16);
                    }
                }
            }

            pointer = (int)((head >> 8) & 0xFC);
        }

        if (_structures.Count < 4)
        {
            throw new QemuException($"the virtio device {requester} lacks capabilities");
        }

        pci.Write(requester, 0x10 + (mapped * 4), (uint)bar);
        pci.Write(requester, 0x14 + (mapped * 4), (uint)(bar >> 32));
        const uint MemoryAndBusMaster = 6;
        pci.Write(requester, 4, MemoryAndBusMaster);
    }

    private ulong Common => _structures[1];

    /// <inheritdoc/>
    public uint Read32(int offset) => offset switch
    {
        0x000 => 0x7472_6976,
        0x004 => 2,
        0x008 => _deviceId,
        0x00C => 0x1AF4,
        0x010 => _client.Read32(Common + 4),
        0x034 => _client.Read16(Common + 0x18),
        0x044 => _client.Read16(Common + 0x1C),
        0x060 => _client.Read8(_structures[3]),
        0x070 => _client.Read8(Common + 0x14),
        0x0FC => _client.Read8(Common + 0x15),
        >= 0x100 => _client.Read32(_structures[4] + (ulong)(offset - 0x100)),
        _ => 0,
    };

    /// <inheritdoc/>
    public ulong Read64(int offset) => Read32(offset) | ((ulong)Read32(offset + 4) << 32);

    /// <inheritdoc/>
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
                break;
            case 0x044:
                _client.Write16(Common + 0x1C, value);
                break;
            case 0x050:
                Notify(value);
                break;
            case 0x070:
                _client.Write8(Common + 0x14, value);
                break;
            case 0x080 or 0x084:
                _client.Write32(Common + 0x20 + (ulong)(offset - 0x80), value);
                break;
            case 0x090 or 0x094:
                _client.Write32(Common + 0x28 + (ulong)(offset - 0x90), value);
                break;
            case 0x0A0 or 0x0A4:
                _client.Write32(Common + 0x30 + (ulong)(offset - 0xA0), value);
                break;
            case >= 0x100:
                _client.Write32(_structures[4] + (ulong)(offset - 0x100), value);
                break;
            default:
                // Interrupt acknowledgement: reading the ISR has done it.
                break;
        }
    }

    /// <inheritdoc/>
    public void Write64(int offset, ulong value)
    {
        Write32(offset, (uint)value);
        Write32(offset + 4, (uint)(value >> 32));
    }

    // The offset of a queue's doorbell is read with that queue selected.
    private void Notify(uint queue)
    {
        _client.Write16(Common + 0x16, queue);
        uint index = _client.Read16(Common + 0x1E);
        _client.Write16(Common + 0x16, _queue);
        _client.Write16(_structures[2] + (index * _notifyMultiplier), queue);
    }
}
