using System.Globalization;

namespace PasidFramework.Qemu.Devices;

/// <summary>
/// QEMU's educational PCI device: it copies up to 4096 bytes between memory, through the IOMMU, and a buffer of its own.
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

    /// <summary>Reads 8 bytes by DMA into the buffer; a refused access overwrites it, too.</summary>
    /// <param name="address">Untranslated address.</param>
    /// <remarks>The processor cannot see the buffer: what was read is known when it has been stored somewhere.</remarks>
    public void Load(ulong address) => Transfer(address, Buffer, Run);

    /// <summary>Writes the buffer's first 8 bytes by DMA; where the access is refused, nothing is written.</summary>
    /// <param name="address">Untranslated address.</param>
    public void Store(ulong address) => Transfer(Buffer, address, Run | ToMemory);

    private void Transfer(ulong source, ulong destination, uint command)
    {
        QTestClient client = _machine.Client;
        client.Write64(_bar + Source, source);
        client.Write64(_bar + Destination, destination);
        client.Write64(_bar + Count, 8);
        client.Write64(_bar + Command, command);
        _machine.LetTimersExpire();
        for (int look = 0; (client.Read32(_bar + Command) & Run) != 0; look++)
        {
            if (look > 10_000)
            {
                throw new QemuException($"the edu device {Requester} does not end its transfer");
            }
        }
    }
}
