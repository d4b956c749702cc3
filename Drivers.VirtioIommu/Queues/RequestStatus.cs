using PasidFramework.Results;

namespace PasidFramework.Drivers.VirtioIommu.Queues;

/// <summary>What became of a request: the device's status (OASIS virtio 1.2, IOMMU device, request tail), or a negative
/// value where it gave none.</summary>
internal enum RequestStatus
{
    /// <summary>The device returned the request without writing a status: it does not know the type.</summary>
    Unrecognised = -1,
    TimedOut = -2,

    /// <summary>All slots stayed with the device for the whole wait.</summary>
    QueueFull = -3,
    Truncated = -4,

    /// <summary>The used ring is not consistent; the queue is out of use.</summary>
    Broken = -5,
    Ok = 0,
    IoErr = 1,
    Unsupp = 2,
    DevErr = 3,
    Inval = 4,
    Range = 5,
    NoEnt = 6,
    Fault = 7,
    NoMem = 8,
}

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

    /// <param name="subject">What else it was about: <c>endpoint</c>, <c>PASID</c> ...</param>
    public static OpResult ToResult(
        this RequestStatus status, string request, uint domain, string subject, ulong number) =>
        status == RequestStatus.Ok
            ? OpResult.Ok
            : OpResult.Refuse(status.ToErrno(), Text(
                $"virtio-iommu {request}, domain {domain}, {subject} 0x{number:x}: {status.Describe()}"));

    public static string Describe(this RequestStatus status) => status switch
    {
        RequestStatus.Ok => "OK",
        RequestStatus.Unrecognised =>
            "the device does not know this request (it returned it with used length 0 and no status)",
        RequestStatus.TimedOut => "the device did not answer in time",
        RequestStatus.QueueFull => "the request queue stayed full, the device answers nothing",
        RequestStatus.Truncated => "the device wrote less than the answer's length",
        RequestStatus.Broken => "the used ring is not consistent, the queue is out of use until a reset",
        <= RequestStatus.NoMem => Text($"the device answered {status.ToString().ToUpperInvariant()} ({(int)status})"),
        _ => Text($"the device answered {(int)status}, a status that no specification has"),
    };
}
