// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Qemu.Smmu;

/// <summary>
/// The registers over QTest. QEMU has no substreams: IDR1.SSIDSIZE is given as asked for and IDR0.CD2L as 1, and the
/// stream table that the driver names is kept from QEMU, which walks one of this back end. Section numbers: Arm IHI
/// 0070.
/// </summary>
/// <param name="substreamBits">Width to report, 0 (no substreams) to 20.</param>
internal sealed class SmmuQemuRegisters(QTestClient client, ulong registers, QemuMemory memory, int substreamBits)
    : IRegisterFile
{
    private const int Idr0 = 0x0;
    private const int Idr1 = 0x4;
    private const int StreamTableBase = 0x80;
    private const int StreamTableConfig = 0x88;
    private const int CommandBase = 0x90;
    private const int CommandProducer = 0x98;
    private const int EventBase = 0xA0;
    private const int EventProducer = 0x100A8;
    private const int EventConsumer = 0x100AC;
    private const uint TwoLevelContexts = 1u << 19;
    private const int SubstreamShift = 6;
    private const ulong QueueAddress = 0x000F_FFFF_FFFF_FFE0;
    private const int CommandBytes = 16;
    private const int EventWords = 4;
    private readonly Lock _eventGate = new();
    private readonly Lock _commandGate = new();
    private bool _isBeingTaken;

    // Whether the queue is empty for sure: only the devices, which access one at a time, and the driver change that.
    private bool _isEmpty;
    private uint _firstNew;
    private uint _lastCommand;

    /// <summary>Called with each stream whose configuration QEMU forgets, by a command of the driver; null for
    /// all.</summary>
    public Action<uint?> ConfigurationForgotten { get; set; } = _ => { };

    /// <summary>What the driver wrote to STRTAB_BASE.</summary>
    public ulong DriverTable { get; private set; }

    /// <summary>What the driver wrote to STRTAB_BASE_CFG.</summary>
    public uint DriverConfig { get; private set; }

    public uint Read32(int offset)
    {
        switch (offset)
        {
            case Idr0:
                return client.Read32(registers) | TwoLevelContexts;
            case Idr1:
                return (client.Read32(registers + Idr1) & ~(0x1Fu << SubstreamShift))
                    | ((uint)substreamBits << SubstreamShift);
            case StreamTableBase:
                return (uint)DriverTable;
            case StreamTableBase + 4:
                return (uint)(DriverTable >> 32);
            case StreamTableConfig:
                return DriverConfig;
            case EventProducer:
                lock (_eventGate)
                {
                    uint producer = client.Read32(registers + EventProducer);
                    _isBeingTaken = producer != client.Read32(registers + EventConsumer);
                    return producer;
                }

            default:
                return client.Read32(registers + (ulong)offset);
        }
    }

    public ulong Read64(int offset) => offset == StreamTableBase
        ? DriverTable
        : client.Read64(registers + (ulong)offset);

    public void Write32(int offset, uint value)
    {
        switch (offset)
        {
            case StreamTableConfig:
                DriverConfig = value;
                break;
            case StreamTableBase:
                DriverTable = (DriverTable & ~0xFFFF_FFFFUL) | value;
                break;
            case StreamTableBase + 4:
                DriverTable = (DriverTable & 0xFFFF_FFFF) | ((ulong)value << 32);
                break;
            case EventConsumer:
                lock (_eventGate)
                {
                    client.Write32(registers + EventConsumer, value);
                    _isBeingTaken = false;
                    _isEmpty = false;
                }

                break;
            case EventProducer:
                lock (_eventGate)
                {
                    client.Write32(registers + EventProducer, value);
                    _isEmpty = false;
                }

                break;
            case CommandProducer:
                client.Write32(registers + CommandProducer, value);
                LookAtCommands(value);
                break;
            default:
                client.Write32(registers + (ulong)offset, value);
                break;
        }
    }

    public void Write64(int offset, ulong value)
    {
        if (offset == StreamTableBase)
        {
            DriverTable = value;
            return;
        }

        client.Write64(registers + (ulong)offset, value);
        if (offset == CommandBase)
        {
            // A new queue begins at its first place.
            lock (_commandGate)
            {
                _lastCommand = 0;
            }
        }
    }

    /// <summary>Names the stream table that QEMU walks.</summary>
    public void SetOwnTable(ulong address, int log2Entries)
    {
        client.Write64(registers + StreamTableBase, address);
        client.Write32(registers + StreamTableConfig, (uint)log2Entries);
    }

    /// <summary>
    /// Removes the records that were not taken, unless a reader is about to: the producer's position goes back to the
    /// consumer's, because a driver keeps that one in its own memory.
    /// </summary>
    public void DiscardEvents()
    {
        lock (_eventGate)
        {
            if (_isEmpty)
            {
                return;
            }

            uint producer = client.Read32(registers + EventProducer);
            uint consumer = client.Read32(registers + EventConsumer);
            if (producer != consumer && !_isBeingTaken)
            {
                client.Write32(registers + EventProducer, consumer);
                producer = consumer;
            }

            _firstNew = producer;
            _isEmpty = producer == consumer;
        }
    }

    /// <summary>The first record since <see cref="DiscardEvents"/>; empty where there is none. It stays.</summary>
    public ulong[] PeekEvent()
    {
        lock (_eventGate)
        {
            if (client.Read32(registers + EventProducer) == _firstNew)
            {
                return [];
            }

            _isEmpty = false;
            ulong queue = client.Read64(registers + EventBase);
            uint index = _firstNew & ((1u << (int)(queue & 0x1F)) - 1);
            ulong at = (queue & QueueAddress) + (index * EventWords * 8UL);
            var words = new ulong[EventWords];
            for (int i = 0; i < EventWords; i++)
            {
                words[i] = memory.ReadQword(at + ((ulong)i * 8));
            }

            return words;
        }
    }

    // Section 4.3: CFGI_STE 3, CFGI_ALL 4 with Range 31, CFGI_CD 5, CFGI_CD_ALL 6; StreamID is bits 63:32. QEMU has
    // carried out what was announced when the write returns.
    private void LookAtCommands(uint producer)
    {
        lock (_commandGate)
        {
            ulong queue = client.Read64(registers + CommandBase);
            uint size = 1u << (int)(queue & 0x1F);
            uint mask = (2 * size) - 1;
            for (uint at = _lastCommand & mask; at != (producer & mask); at = (at + 1) & mask)
            {
                ulong from = (queue & QueueAddress) + ((at & (size - 1)) * (ulong)CommandBytes);
                ulong command = memory.ReadQword(from);
                switch (command & 0xFF)
                {
                    case 3 or 5 or 6:
                        ConfigurationForgotten((uint)(command >> 32));
                        break;
                    case 4 when (memory.ReadQword(from + 8) & 0x1F) == 31:
                        ConfigurationForgotten(null);
                        break;
                    default:
                        break;
                }
            }

            _lastCommand = producer;
        }
    }
}
