using System.Diagnostics;
using System.Globalization;
using PasidFramework.Identifiers;
using PasidFramework.Qemu.Machine;

namespace PasidFramework.Qemu.Devices;

/// <summary>
/// QEMU's educational PCI device: it copies between memory, through the IOMMU, and a buffer of its own. Here it moves one
/// word of 4 bytes: larger transfers are several accesses, each with its own fault record.
/// </summary>
internal sealed class EduDevice
{
    private const int Identity = 0x11E8_1234;
    private const int Source = 0x80;
    private const int Destination = 0x88;
    private const int Count = 0x90;
    private const int Command = 0x98;
    private const ulong Buffer = 0x40000;
    private const uint Run = 1;
    private const uint ToMemory = 2;

    private readonly QemuMachine _machine;
    private readonly ulong _bar;
    private bool _isSetToStore;

    /// <summary>Sets the device up: its BAR and its right to issue requests.</summary>
    /// <exception cref="QemuException">It is not there.</exception>
    public EduDevice(QemuMachine machine, IPciConfiguration configuration, RequesterId requester, ulong bar)
    {
        _machine = machine;
        _bar = bar;
        Requester = requester;
        uint identity = configuration.Read(requester, 0);
        if (identity != Identity)
        {
            throw new QemuException(string.Create(
                CultureInfo.InvariantCulture, $"no edu device at {requester}: its identity is 0x{identity:x}"));
        }

        configuration.Write(requester, 0x10, (uint)bar);
        const uint MemoryAndBusMaster = 6;
        configuration.Write(requester, 4, MemoryAndBusMaster);
    }

    /// <summary>Who it is.</summary>
    public RequesterId Requester { get; }

    /// <summary>Reads 4 bytes by DMA into the buffer; a refused access overwrites it, too.</summary>
    /// <param name="address">Untranslated address, a multiple of 4.</param>
    /// <remarks>The processor cannot see the buffer: what was read is known when it has been stored somewhere.</remarks>
    public void Load(ulong address)
    {
        QTestClient client = _machine.Client;
        client.Write64(_bar + Source, address);
        client.Write64(_bar + Destination, Buffer);
        client.Write64(_bar + Count, 4);
        _isSetToStore = false;
        Transfer(Run);
    }

    /// <summary>Writes the buffer's first 4 bytes by DMA; where the access is refused, nothing is written.</summary>
    /// <param name="address">Untranslated address, a multiple of 4.</param>
    public void Store(ulong address)
    {
        QTestClient client = _machine.Client;
        client.Write64(_bar + Destination, address);
        if (!_isSetToStore)
        {
            client.Write64(_bar + Source, Buffer);
            client.Write64(_bar + Count, 4);
            _isSetToStore = true;
        }

        Transfer(Run | ToMemory);
    }

    private void Transfer(uint command)
    {
        QTestClient client = _machine.Client;
        client.Write64(_bar + Command, command);
        _machine.LetTimersExpire();
        long since = Stopwatch.GetTimestamp();
        while ((client.Read32(_bar + Command) & Run) != 0)
        {
            if (Stopwatch.GetElapsedTime(since) > _machine.Setup.Patience)
            {
                throw new QemuException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"the edu device {Requester} did not end its transfer within {_machine.Setup.Patience.TotalSeconds} s"));
            }
        }
    }
}
