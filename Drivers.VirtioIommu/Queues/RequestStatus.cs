using PasidFramework.Results;

namespace PasidFramework.Drivers.VirtioIommu.Queues;

/// <summary>
/// What became of a request: the device's status (OASIS virtio 1.2, IOMMU device, request tail), or a negative value
/// where it gave none.
/// </summary>
internal enum RequestStatus
{
    /// <summary>The device returned the request without writing a status: it does not know the type.</summary>
    Unrecognised = -1,

    /// <summary>The device did not answer in time.</summary>
    TimedOut = -2,

    /// <summary>All slots stayed with the device for the whole wait.</summary>
    QueueFull = -3,

    /// <summary>The device wrote fewer bytes than the answer has.</summary>
    Truncated = -4,

    /// <summary>The used ring is not consistent; the queue is out of use.</summary>
    Broken = -5,

    /// <summary>Carried out.</summary>
    Ok = 0,

    /// <summary>Input or output error.</summary>
    IoErr = 1,

    /// <summary>Not supported.</summary>
    Unsupp = 2,

    /// <summary>Error in the device itself.</summary>
    DevErr = 3,

    /// <summary>A field is not acceptable.</summary>
    Inval = 4,

    /// <summary>A value is out of range.</summary>
    Range = 5,

    /// <summary>No such endpoint, domain or mapping.</summary>
    NoEnt = 6,

    /// <summary>The device could not read or write memory.</summary>
    Fault = 7,

    /// <summary>The device has no memory left.</summary>
    NoMem = 8,
}

/// <summary>Turns a status into the framework's result.</summary>
internal static class RequestStatusExtensions
{
    /// <summary>The error number that stands for a status; a status that is not known is EIO.</summary>
    public static Errno ToErrno(this RequestStatus status) => status switch
    {
        RequestStatus.Ok => Errno.None,
        RequestStatus.Unrecognised or RequestStatus.Unsupp => Errno.EOPNOTSUPP,
        RequestStatus.TimedOut or RequestStatus.QueueFull => Errno.ETIMEDOUT,
        RequestStatus.Inval => Errno.EINVAL,
        RequestStatus.Range => Errno.ERANGE,
        RequestStatus.NoEnt => Errno.ENOENT,
        RequestStatus.Fault => Errno.EFAULT,
        RequestStatus.NoMem => Errno.ENOMEM,
        _ => Errno.EIO,
    };

    /// <summary>The result of a request.</summary>
    /// <param name="status">What became of it.</param>
    /// <param name="request">The request's name.</param>
    /// <param name="domain">Its domain.</param>
    /// <param name="subject">What else it was about: <c>endpoint</c>, <c>PASID</c> ...</param>
    /// <param name="number">The subject's number.</param>
    public static OpResult ToResult(
        this RequestStatus status, string request, uint domain, string subject, ulong number) =>
        status == RequestStatus.Ok
            ? OpResult.Ok
            : OpResult.Refuse(status.ToErrno(), Text(
                $"virtio-iommu {request}, domain {domain}, {subject} 0x{number:x}: {status.Describe()}"));

    /// <summary>A status in words.</summary>
    public static string Describe(this RequestStatus status) => status switch
    {
        RequestStatus.Ok => "OK",
        RequestStatus.Unrecognised =>
            "the device does not know this request (it returned it with used length 0 and no status)",
        RequestStatus.TimedOut => "the device did not answer in time",
        RequestStatus.QueueFull => "the request queue stayed full, the device answers nothing",
        RequestStatus.Truncated => "the device wrote less than the answer's length",
        RequestStatus.Broken => "the used ring is not consistent, the queue is out of use until a reset",
        RequestStatus.IoErr => "the device answered IOERR (1)",
        RequestStatus.Unsupp => "the device answered UNSUPP (2)",
        RequestStatus.DevErr => "the device answered DEVERR (3)",
        RequestStatus.Inval => "the device answered INVAL (4)",
        RequestStatus.Range => "the device answered RANGE (5)",
        RequestStatus.NoEnt => "the device answered NOENT (6)",
        RequestStatus.Fault => "the device answered FAULT (7)",
        RequestStatus.NoMem => "the device answered NOMEM (8)",
        _ => Text($"the device answered {(int)status}, a status that no specification has"),
    };
}
