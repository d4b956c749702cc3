// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Queues;

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
