// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Logging;

namespace PasidFramework.Drivers.VirtioIommu.Queues;

/// <summary>A device that went through the initialisation sequence: its queues, its configuration, and the dialect that
/// was negotiated. Safe for concurrent use.</summary>
internal sealed partial class StartedDevice(
    string name,
    IIommuHardware hardware,
    MmioTransport transport,
    ILogger logger,
    List<(ulong Address, int Bytes)> pages,
    RequestQueue requests,
    EventQueue events,
    DeviceConfig config,
    TableDialect? dialect,
    ulong features) : IDisposable
{
    private const int MaxQueueSize = 2 * RequestQueue.MaxSlots;
    private const int EventQueueSize = 16;
    private const uint NoStatus = 0xFF;
    private readonly bool _flush = !hardware.IsCoherent;
    private SpinGate _pagesGate;
    private bool _disposed;
    public string Name { get; } = name;
    public IPhysicalMemory Memory { get; } = hardware.Memory;
    public RequestQueue Requests { get; } = requests;
    public EventQueue Events { get; } = events;
    public StandardRequests Standard { get; } = new(requests);
    public DeviceConfig Config { get; } = config;

    /// <summary>The dialect that device and user agree on; null for the standard alone.</summary>
    public TableDialect? Dialect { get; } = dialect;

    public bool HasProbe { get; } = (features & FeatureBits.Probe) != 0;
    public bool HasMap { get; } = (features & FeatureBits.MapUnmap) != 0;

    /// <summary>Initialises a device (virtio 1.2 section 3.1.1): reset, status, features, queues, DRIVER_OK.</summary>
    /// <param name="dialect">The proposal that is spoken if the device offers its feature; null for none.</param>
    /// <param name="timeout">When the device counts as stuck.</param>
    /// <returns>The device; ENODEV, ENOMEM, ETIMEDOUT: then nothing is left behind.</returns>
    public static OpResult<StartedDevice> Start(
        string name, IIommuHardware hardware, TableDialect? dialect, ILogger logger, PollTimeout timeout)
    {
        var transport = new MmioTransport(hardware.Registers, timeout);
        OpResult identified = transport.Identify();
        if (!identified.IsOk)
        {
            return OpResult<StartedDevice>.Refuse(identified);
        }

        // The device may hold addresses of a former driver until its reset is over: nothing is allocated before.
        OpResult reset = transport.Reset();
        if (!reset.IsOk)
        {
            return OpResult<StartedDevice>.Refuse(reset);
        }

        var pages = new List<(ulong Address, int Bytes)>(2);
        OpResult<StartedDevice> started = Start(name, hardware, transport, dialect, logger, timeout, pages);
        if (!started.IsOk)
        {
            transport.Fail();
            if (transport.Reset().IsOk)
            {
                FreePages(hardware.Memory, pages);
            }
        }

        return started;
    }

    /// <returns>The properties, none where the device has no PROBE; NOENT as ENOENT and so on; ENOMEM;
    /// EOPNOTSUPP.</returns>
    public OpResult<EndpointProperties> Probe(uint endpoint)
    {
        if (!HasProbe)
        {
            return OpResult<EndpointProperties>.Ok(EndpointProperties.None);
        }

        int writable = Config.ProbeSize + RequestTail.Bytes;
        int bytes = ProbeRequest.DriverBytes + writable;
        OpResult<ulong> page = Memory.AllocatePages(bytes);
        if (!page.IsOk)
        {
            return OpResult<EndpointProperties>.Refuse(page.Outcome);
        }

        // The page is zeroed: what the request does not say is there already. The answer's part is written back as
        // well, or that would happen later, over the answer.
        ulong address = page.Value;
        Span<ulong> words = stackalloc ulong[9];
        words = StandardRequests.EncodeProbe(words, endpoint);
        Memory.WriteQword(address, words[0]);

        // No status: an answer that never came must not look like success.
        Memory.WriteDword(address + (ulong)(bytes - RequestTail.Bytes), NoStatus);
        if (_flush)
        {
            Memory.Flush(address, bytes);
        }

        RequestStatus status = Requests.Send(
            address, ProbeRequest.DriverBytes, address + ProbeRequest.DriverBytes, writable);
        OpResult result = status.ToResult("PROBE", 0, "endpoint", endpoint);
        if (status is RequestStatus.TimedOut or RequestStatus.Broken)
        {
            // The device may still write there: the page goes back after the reset that Dispose does.
            _pagesGate.Enter();
            pages.Add((address, bytes));
            _pagesGate.Exit();
            return OpResult<EndpointProperties>.Refuse(result);
        }

        var answer = new byte[Config.ProbeSize];
        Memory.Read(address + ProbeRequest.DriverBytes, answer);
        Memory.FreePages(address, bytes);
        return result.IsOk
            ? OpResult<EndpointProperties>.Ok(EndpointProperties.Parse(answer, Dialect))
            : OpResult<EndpointProperties>.Refuse(result);
    }

    public void Warn(string message) => logger.LogWarning("{Unit}: {Message}", Name, message);

    /// <summary>Resets the device: it knows no memory any more.</summary>
    /// <returns>Success; ETIMEDOUT.</returns>
    public OpResult Stop()
    {
        _faultGate.Enter();
        _disposed = true;
        _faultGate.Exit();
        return transport.Reset();
    }

    /// <summary>Frees all memory that the device knew of; it is reset.</summary>
    public void Free()
    {
        FreePages(Memory, pages);
        pages.Clear();
    }

    /// <summary>Resets the device, and frees its memory where that was confirmed.</summary>
    public void Dispose()
    {
        if (!_disposed && Stop().IsOk)
        {
            Free();
        }
    }

    private static OpResult<StartedDevice> Start(
        string name,
        IIommuHardware hardware,
        MmioTransport transport,
        TableDialect? dialect,
        ILogger logger,
        PollTimeout timeout,
        List<(ulong Address, int Bytes)> pages)
    {
        const ulong Standard = FeatureBits.InputRange | FeatureBits.DomainRange | FeatureBits.MapUnmap
            | FeatureBits.Probe | FeatureBits.Mmio | FeatureBits.BypassConfig;
        OpResult negotiated = transport.Negotiate(dialect?.KnownFeatures ?? Standard, out ulong features);
        if (!negotiated.IsOk)
        {
            return OpResult<StartedDevice>.Refuse(negotiated);
        }

        OpResult<DeviceConfig> config = transport.ReadConfig(features);
        if (!config.IsOk)
        {
            return OpResult<StartedDevice>.Refuse(config.Outcome);
        }

        if ((features & FeatureBits.BypassConfig) != 0)
        {
            // Firmware may have left it on: then every endpoint that is in no domain reaches all of memory.
            transport.ForbidBypass();
        }

        bool flush = !hardware.IsCoherent;
        OpResult<(ulong Address, int Size)> request = AllocateQueue(
            hardware.Memory, transport, QueueIndex.Request, 2, MaxQueueSize, RequestQueue.MemoryBytes, pages);
        if (!request.IsOk)
        {
            return OpResult<StartedDevice>.Refuse(request.Outcome);
        }

        OpResult<(ulong Address, int Size)> events = AllocateQueue(
            hardware.Memory, transport, QueueIndex.Event, 1, EventQueueSize, EventQueue.MemoryBytes, pages);
        if (!events.IsOk)
        {
            return OpResult<StartedDevice>.Refuse(events.Outcome);
        }

        var requestQueue = new RequestQueue(
            hardware.Memory,
            request.Value.Address,
            request.Value.Size,
            flush,
            () => transport.Notify(QueueIndex.Request),
            timeout);
        var eventQueue = new EventQueue(
            hardware.Memory, events.Value.Address, events.Value.Size, flush, () => transport.Notify(QueueIndex.Event));
        eventQueue.Fill();

        // The device may look at the rings as soon as they are enabled, and it writes to some of these pages: nothing
        // of them may be on its way any more.
        if (flush)
        {
            foreach ((ulong address, int bytes) in pages)
            {
                hardware.Memory.Flush(address, bytes);
            }
        }

        hardware.Memory.StoreBarrier();
        transport.EnableQueue(QueueIndex.Request, requestQueue.Ring);
        transport.EnableQueue(QueueIndex.Event, eventQueue.Ring);
        transport.Start();
        eventQueue.Start();
        return OpResult<StartedDevice>.Ok(new StartedDevice(
            name,
            hardware,
            transport,
            logger,
            pages,
            requestQueue,
            eventQueue,
            config.Value,
            dialect is not null && (features & dialect.AttachFeature) != 0 ? dialect : null,
            features));
    }

    private static OpResult<(ulong Address, int Size)> AllocateQueue(
        IPhysicalMemory memory,
        MmioTransport transport,
        int index,
        int least,
        int most,
        Func<int, int> memoryBytes,
        List<(ulong Address, int Bytes)> pages)
    {
        OpResult<int> size = transport.ChooseQueueSize(index, least, most);
        if (!size.IsOk)
        {
            return OpResult<(ulong Address, int Size)>.Refuse(size.Outcome);
        }

        int bytes = memoryBytes(size.Value);
        OpResult<ulong> address = memory.AllocatePages(bytes);
        if (!address.IsOk)
        {
            return OpResult<(ulong Address, int Size)>.Refuse(Errno.ENOMEM,
                $"virtio-iommu queue {index}: {address.Reason}");
        }

        pages.Add((address.Value, bytes));
        return OpResult<(ulong Address, int Size)>.Ok((address.Value, size.Value));
    }

    private static void FreePages(IPhysicalMemory memory, List<(ulong Address, int Bytes)> pages)
    {
        foreach ((ulong address, int bytes) in pages)
        {
            memory.FreePages(address, bytes);
        }
    }
}
