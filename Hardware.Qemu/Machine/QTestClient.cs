using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace PasidFramework.Qemu.Machine;

/// <summary>
/// QEMU's QTest protocol: one line a command, one line an answer. Every command has a deadline; what is not an answer is
/// a <see cref="QemuException"/>, and so is every command after that one.
/// </summary>
/// <remarks>Safe for concurrent use: one command at a time.</remarks>
internal sealed class QTestClient : IDisposable
{
    private const int LongestLine = 4096;

    private readonly Lock _gate = new();
    private readonly Socket _socket;
    private readonly TimeSpan _patience;
    private readonly Func<bool, string> _describe;
    private readonly byte[] _buffer = new byte[LongestLine];
    private string? _broken;
    private int _start;
    private int _end;

    /// <summary>Talks over a connected socket.</summary>
    /// <param name="socket">The socket; owned from now on.</param>
    /// <param name="patience">How long an answer may take.</param>
    /// <param name="describe">What QEMU did meanwhile, for messages; its argument says whether the connection was
    /// lost, so that it should have ended.</param>
    public QTestClient(Socket socket, TimeSpan patience, Func<bool, string> describe)
    {
        _socket = socket;
        _patience = patience;
        _describe = describe;
        _socket.SendTimeout = (int)patience.TotalMilliseconds;
    }

    public uint Read8(ulong address) => (uint)Number($"readb 0x{address:x}");

    public uint Read16(ulong address) => (uint)Number($"readw 0x{address:x}");

    public uint Read32(ulong address) => (uint)Number($"readl 0x{address:x}");

    public ulong Read64(ulong address) => Number($"readq 0x{address:x}");

    public void Write8(ulong address, uint value) => Send($"writeb 0x{address:x} 0x{value:x}");

    public void Write16(ulong address, uint value) => Send($"writew 0x{address:x} 0x{value:x}");

    public void Write32(ulong address, uint value) => Send($"writel 0x{address:x} 0x{value:x}");

    public void Write64(ulong address, ulong value) => Send($"writeq 0x{address:x} 0x{value:x}");

    public uint In32(int port) => (uint)Number($"inl 0x{port:x}");

    public void Out32(int port, uint value) => Send($"outl 0x{port:x} 0x{value:x}");

    /// <summary>Lets virtual time pass (qtest accelerator only).</summary>
    public void StepClock(long nanoseconds) => Send($"clock_step {nanoseconds}");

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private ulong Number(FormattableString command)
    {
        string answer = Send(command);
        ReadOnlySpan<char> digits = answer.AsSpan(answer.LastIndexOf(' ') + 1);
        return digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            && ulong.TryParse(digits[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong value)
            ? value
            : throw Broken(Nonsense(Text(command), answer));
    }

    private string Send(FormattableString command)
    {
        string line = Text(command);
        lock (_gate)
        {
            if (_broken is not null)
            {
                throw new QemuException(_broken);
            }

            try
            {
                Span<byte> bytes = stackalloc byte[128];
                int length = Encoding.ASCII.GetBytes(line, bytes);
                bytes[length++] = (byte)'\n';
                for (int sent = 0; sent < length;)
                {
                    sent += _socket.Send(bytes[sent..length]);
                }

                // Whatever it says meanwhile, the answer is due when this is over.
                long since = Stopwatch.GetTimestamp();
                while (true)
                {
                    string answer = ReadLine(line, since);
                    if (answer.StartsWith("IRQ", StringComparison.Ordinal))
                    {
                        continue;
                    }

                    return answer == "OK" || answer.StartsWith("OK ", StringComparison.Ordinal)
                        ? answer
                        : throw Broken(Nonsense(line, answer));
                }
            }
            catch (SocketException e)
            {
                throw Broken(e.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock
                    ? Late(line)
                    : $"QEMU went away at '{line}' ({e.SocketErrorCode}); {_describe(true)}");
            }
            catch (ObjectDisposedException)
            {
                throw Broken($"QEMU was stopped before '{line}'");
            }
        }
    }

    private static string Text(FormattableString command) => command.ToString(CultureInfo.InvariantCulture);

    // An answer that comes late would be taken for the next command's.
    private QemuException Broken(string message)
    {
        _broken ??= message;
        return new QemuException(message);
    }

    private string Nonsense(string command, string answer) =>
        $"QEMU answered '{answer}' to '{command}'; {_describe(false)}";

    private string Late(string command) => string.Create(
        CultureInfo.InvariantCulture,
        $"QEMU did not answer '{command}' within {_patience.TotalSeconds} s; {_describe(false)}");

    private string ReadLine(string command, long since)
    {
        while (true)
        {
            int at = _buffer.AsSpan(_start, _end - _start).IndexOf((byte)'\n');
            if (at >= 0)
            {
                string line = Encoding.ASCII.GetString(_buffer, _start, at).TrimEnd('\r');
                _start += at + 1;
                return line;
            }

            if (_start > 0)
            {
                _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
                _end -= _start;
                _start = 0;
            }

            if (_end == _buffer.Length)
            {
                throw Broken($"QEMU answered a line of more than {LongestLine} bytes to '{command}'");
            }

            TimeSpan left = _patience - Stopwatch.GetElapsedTime(since);
            if (left <= TimeSpan.Zero)
            {
                throw Broken(Late(command));
            }

            _socket.ReceiveTimeout = Math.Max(1, (int)left.TotalMilliseconds);
            int read = _socket.Receive(_buffer.AsSpan(_end));
            if (read == 0)
            {
                throw new SocketException((int)SocketError.ConnectionReset);
            }

            _end += read;
        }
    }
}
