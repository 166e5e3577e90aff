"""Movement of a player for one frame: Quake 3's player movement, from its documented behavior and the recorded traces
(reference A0).

Velocities are in units per engine second, and are rounded to whole numbers after every frame, as in the original.
"""

import numpy as np

from flexlam_rl.envs.litelab.collide import ALL_SOLID, BOTTOM, CLEAR, HALF, trace
from flexlam_rl.envs.litelab.kernel import kernel
from flexlam_rl.envs.litelab.pose import EYE, turn
from flexlam_rl.envs.litelab.state import GRID

SPEED = 320.0
GRAVITY = 800.0
JUMP_SPEED = 270.0
FRICTION = 6.0
STOP_SPEED = 100.0  # below this speed, friction no longer decreases with the speed
GROUND_ACCELERATION = 10.0
AIR_ACCELERATION = 1.0
STEP = 18.0
OVERCLIP = 1.001  # sliding along a plane moves off it by a thousandth
WALKABLE = 0.7  # least z of the normal of ground that players can stand on
GROUND_REACH = 0.25
THROWN = 10.0  # a player that moves up and off the ground faster than this is in the air
LANDING_MS = 250  # time after a fall faster than LANDING_SPEED in which walls do not slow the player
LANDING_SPEED = 200.0
HULL_TOP = 32.0
DUCK_TOP = 16.0
DUCK_EYE = 12.0
DUCK_SCALE = 0.25


@kernel
def stand(w, p):
    """Raise a player whose feet are in the ground by up to a step; returns False if it is still in something solid."""
    x, y, z = p.pos[0], p.pos[1], p.pos[2]
    _, _, _, _, solid = trace(w, x, y, z, x, y, z, HALF, BOTTOM, DUCK_TOP)
    if solid == CLEAR:
        return True
    _, _, _, _, solid = trace(w, x, y, z + STEP, x, y, z + STEP, HALF, BOTTOM, DUCK_TOP)
    if solid != CLEAR:
        return False
    f, _, _, _, _ = trace(w, x, y, z + STEP, x, y, z, HALF, BOTTOM, DUCK_TOP)
    p.pos[2] = z + STEP * (1.0 - f)
    return True


@kernel
def _clip(vx, vy, vz, nx, ny, nz):
    """Remove the part of a velocity that points into a plane, and a thousandth more."""
    into = vx * nx + vy * ny + vz * nz
    into = into * OVERCLIP if into < 0.0 else into / OVERCLIP
    return vx - nx * into, vy - ny * into, vz - nz * into


@kernel
def _slide(w, p, dt, top, gravity, nx, ny, nz):
    """Move for `dt` seconds and slide along up to four contacts; returns whether there was any.

    (nx, ny, nz) is the normal of the plane on which the player stands, all 0 in the air.
    """
    keep_x, keep_y, keep_z = p.vel[0], p.vel[1], p.vel[2]
    vx, vy, vz = keep_x, keep_y, keep_z
    gx, gy, gz = vx, vy, vz
    grounded = nz != 0.0
    if gravity:
        gz = vz - GRAVITY * dt
        vz = 0.5 * (vz + gz)
        keep_z = gz
        if grounded:
            vx, vy, vz = _clip(vx, vy, vz, nx, ny, nz)
    x, y, z = p.pos[0], p.pos[1], p.pos[2]
    f, hx, hy, hz, solid = trace(w, x, y, z, x + vx * dt, y + vy * dt, z + vz * dt, HALF, BOTTOM, top)
    if f == 1.0 and solid != ALL_SOLID:
        # the usual case of nothing in the way
        p.pos[0] = x + vx * dt
        p.pos[1] = y + vy * dt
        p.pos[2] = z + vz * dt
        if gravity:
            p.vel[0] = gx
            p.vel[1] = gy
            p.vel[2] = gz
        return False
    planes = np.empty((6, 3))
    count = 0
    if grounded:
        planes[0, 0] = nx
        planes[0, 1] = ny
        planes[0, 2] = nz
        count = 1
    speed = np.sqrt(vx * vx + vy * vy + vz * vz)
    scale = 1.0 / speed if speed > 0.0 else 0.0
    planes[count, 0] = vx * scale
    planes[count, 1] = vy * scale
    planes[count, 2] = vz * scale
    count += 1
    left = dt
    bumps = 0
    stuck = False
    while bumps < 4:
        dx, dy, dz = vx * left, vy * left, vz * left
        f, nx, ny, nz, solid = trace(
            w, p.pos[0], p.pos[1], p.pos[2], p.pos[0] + dx, p.pos[1] + dy, p.pos[2] + dz, HALF, BOTTOM, top
        )
        if solid == ALL_SOLID:
            p.vel[2] = 0.0
            return True
        if f > 0.0:
            p.pos[0] += f * dx
            p.pos[1] += f * dy
            p.pos[2] += f * dz
        if f == 1.0:
            break
        left -= left * f
        bumps += 1
        if count >= 5:
            stuck = True
            break
        # The same plane again: rounding has kept the player inside it, so push off by one unit per second.
        again = False
        for k in range(count):
            if nx * planes[k, 0] + ny * planes[k, 1] + nz * planes[k, 2] > 0.99:
                vx += nx
                vy += ny
                vz += nz
                again = True
                break
        if again:
            continue
        planes[count, 0] = nx
        planes[count, 1] = ny
        planes[count, 2] = nz
        count += 1
        for i in range(count):
            if vx * planes[i, 0] + vy * planes[i, 1] + vz * planes[i, 2] >= 0.1:
                continue
            cx, cy, cz = _clip(vx, vy, vz, planes[i, 0], planes[i, 1], planes[i, 2])
            hx, hy, hz = _clip(gx, gy, gz, planes[i, 0], planes[i, 1], planes[i, 2])
            for j in range(count):
                if j == i or cx * planes[j, 0] + cy * planes[j, 1] + cz * planes[j, 2] >= 0.1:
                    continue
                cx, cy, cz = _clip(cx, cy, cz, planes[j, 0], planes[j, 1], planes[j, 2])
                hx, hy, hz = _clip(hx, hy, hz, planes[j, 0], planes[j, 1], planes[j, 2])
                if cx * planes[i, 0] + cy * planes[i, 1] + cz * planes[i, 2] >= 0.0:
                    continue
                # Two planes stop the move, so only the direction along their crease is left.
                ux = planes[i, 1] * planes[j, 2] - planes[i, 2] * planes[j, 1]
                uy = planes[i, 2] * planes[j, 0] - planes[i, 0] * planes[j, 2]
                uz = planes[i, 0] * planes[j, 1] - planes[i, 1] * planes[j, 0]
                norm = np.sqrt(ux * ux + uy * uy + uz * uz)
                if norm > 0.0:
                    ux /= norm
                    uy /= norm
                    uz /= norm
                along = ux * vx + uy * vy + uz * vz
                cx, cy, cz = ux * along, uy * along, uz * along
                along = ux * gx + uy * gy + uz * gz
                hx, hy, hz = ux * along, uy * along, uz * along
                for k in range(count):
                    if k != i and k != j and cx * planes[k, 0] + cy * planes[k, 1] + cz * planes[k, 2] < 0.1:
                        stuck = True
                        break
                if stuck:
                    break
            vx, vy, vz = cx, cy, cz
            gx, gy, gz = hx, hy, hz
            break
        if stuck:
            break
    if stuck:
        p.vel[:] = 0.0
        return True
    if gravity:
        vx, vy, vz = gx, gy, gz
    if p.knockback_ms > 0 or p.landing_ms > 0:
        vx, vy, vz = keep_x, keep_y, keep_z
    p.vel[0] = vx
    p.vel[1] = vy
    p.vel[2] = vz
    return bumps != 0


@kernel
def _step_slide(w, p, dt, top, gravity, nx, ny, nz):
    """Slide, and if something is in the way, try again from one step higher."""
    x, y, z = p.pos[0], p.pos[1], p.pos[2]
    vx, vy, vz = p.vel[0], p.vel[1], p.vel[2]
    if not _slide(w, p, dt, top, gravity, nx, ny, nz):
        return
    if not gravity and w.geometry == GRID:
        return  # a maze has no steps
    if p.vel[2] > 0.0:
        f, _, _, up, _ = trace(w, x, y, z, x, y, z - STEP, HALF, BOTTOM, top)
        if f == 1.0 or up < WALKABLE:
            return
    f, _, _, _, solid = trace(w, x, y, z, x, y, z + STEP, HALF, BOTTOM, top)
    if solid == ALL_SOLID:
        return
    rise = f * STEP
    p.pos[0] = x
    p.pos[1] = y
    p.pos[2] = z + rise
    p.vel[0] = vx
    p.vel[1] = vy
    p.vel[2] = vz
    _slide(w, p, dt, top, gravity, nx, ny, nz)
    f, nx, ny, nz, solid = trace(
        w, p.pos[0], p.pos[1], p.pos[2], p.pos[0], p.pos[1], p.pos[2] - rise, HALF, BOTTOM, top
    )
    if solid != ALL_SOLID:
        p.pos[2] -= f * rise
    if f < 1.0:
        p.vel[0], p.vel[1], p.vel[2] = _clip(p.vel[0], p.vel[1], p.vel[2], nx, ny, nz)


@kernel
def _find_ground(w, p, top, falling):
    """Set on_ground and return the normal of the plane below, 0 if there is none.

    `falling` is the speed of the fall before the frame.
    """
    f, nx, ny, nz, solid = trace(
        w, p.pos[0], p.pos[1], p.pos[2], p.pos[0], p.pos[1], p.pos[2] - GROUND_REACH, HALF, BOTTOM, top
    )
    if solid == ALL_SOLID or f == 1.0 or (p.vel[2] > 0.0 and p.vel[0] * nx + p.vel[1] * ny + p.vel[2] * nz > THROWN):
        p.on_ground = 0
        return 0.0, 0.0, 0.0
    if nz < WALKABLE:
        p.on_ground = 0
        return nx, ny, nz
    if p.on_ground == 0 and falling > LANDING_SPEED:
        p.landing_ms = LANDING_MS
    p.on_ground = 1
    return nx, ny, nz


@kernel
def _brake(p, dt):
    """Apply friction on the ground, and stop horizontal movement below a speed of 1."""
    speed = np.sqrt(p.vel[0] * p.vel[0] + p.vel[1] * p.vel[1] + (0.0 if p.on_ground == 1 else p.vel[2] * p.vel[2]))
    if speed < 1.0:
        p.vel[0] = 0.0
        p.vel[1] = 0.0
        return
    if p.on_ground == 1 and p.knockback_ms == 0:
        scale = max(0.0, speed - max(speed, STOP_SPEED) * FRICTION * dt) / speed
        p.vel[0] *= scale
        p.vel[1] *= scale
        p.vel[2] *= scale


@kernel
def _accelerate(p, dt, dx, dy, dz, wish, rate):
    """Add speed along the unit vector (dx, dy, dz), up to `wish` in that direction."""
    missing = wish - (p.vel[0] * dx + p.vel[1] * dy + p.vel[2] * dz)
    if missing > 0.0:
        gain = min(rate * dt * wish, missing)
        p.vel[0] += gain * dx
        p.vel[1] += gain * dy
        p.vel[2] += gain * dz


@kernel
def _level(x, y, z, nx, ny, nz):
    """Project a direction onto the ground plane, as a unit vector."""
    x, y, z = _clip(x, y, z, nx, ny, nz)
    norm = np.sqrt(x * x + y * y + z * z)
    if norm > 0.0:
        return x / norm, y / norm, z / norm
    return x, y, z


@kernel
def move(w, p, look_right, look_down, strafe, forward, jump, crouch):
    """Turn, then move player `p` for one frame of w.dt_ms (reference A0).

    `look_*` are in look units (-512..512), `strafe` and `forward` are -1, 0 or 1, `jump` and `crouch` are 0 or 1.
    """
    turn(p, look_right, look_down)
    dt = 0.001 * w.dt_ms
    rise = jump - crouch
    if rise <= 0:
        p.jump_held = 0
    # Crouching lowers the head; standing up again needs room for it.
    if rise < 0:
        p.crouched = 1
    elif p.crouched == 1:
        _, _, _, _, solid = trace(w, p.pos[0], p.pos[1], p.pos[2], p.pos[0], p.pos[1], p.pos[2], HALF, BOTTOM, HULL_TOP)
        if solid != ALL_SOLID:
            p.crouched = 0
    top = DUCK_TOP if p.crouched == 1 else HULL_TOP
    p.view_height = DUCK_EYE if p.crouched == 1 else EYE
    falling = -p.vel[2]
    nx, ny, nz = _find_ground(w, p, top, falling)
    p.knockback_ms = max(0, p.knockback_ms - w.dt_ms)
    p.landing_ms = max(0, p.landing_ms - w.dt_ms)

    if p.on_ground == 1 and rise > 0:
        if p.jump_held == 1:
            rise = 0  # holding the button neither jumps again nor slows the walk
        else:
            p.jump_held = 1
            p.on_ground = 0
            p.vel[2] = JUMP_SPEED
            nx, ny, nz = 0.0, 0.0, 0.0
    _brake(p, dt)
    angle = p.yaw * (2.0 * np.pi / 65536.0)
    fx, fy, fz = np.cos(angle), np.sin(angle), 0.0
    rx, ry, rz = fy, -fx, 0.0
    walking = p.on_ground == 1
    if walking and nz != 1.0:
        fx, fy, fz = _level(fx, fy, fz, nx, ny, nz)
        rx, ry, rz = _level(rx, ry, rz, nx, ny, nz)
    wx = fx * forward + rx * strafe
    wy = fy * forward + ry * strafe
    wz = fz * forward + rz * strafe
    length = np.sqrt(wx * wx + wy * wy + wz * wz)
    wish = 0.0
    if length > 0.0:
        # All buttons share one budget of speed, including jump and crouch.
        wish = length * SPEED / np.sqrt(forward * forward + strafe * strafe + rise * rise)
        wx /= length
        wy /= length
        wz /= length
    if walking:
        if p.crouched == 1:
            wish = min(wish, SPEED * DUCK_SCALE)
        loose = p.knockback_ms > 0
        _accelerate(p, dt, wx, wy, wz, wish, AIR_ACCELERATION if loose else GROUND_ACCELERATION)
        if loose:
            p.vel[2] -= GRAVITY * dt
        # A slope does not change the speed.
        before = np.sqrt(p.vel[0] ** 2 + p.vel[1] ** 2 + p.vel[2] ** 2)
        vx, vy, vz = _clip(p.vel[0], p.vel[1], p.vel[2], nx, ny, nz)
        after = np.sqrt(vx * vx + vy * vy + vz * vz)
        if after > 0.0:
            p.vel[0] = vx * before / after
            p.vel[1] = vy * before / after
            p.vel[2] = vz * before / after
        if p.vel[0] != 0.0 or p.vel[1] != 0.0:
            _step_slide(w, p, dt, top, False, nx, ny, nz)
    else:
        _accelerate(p, dt, wx, wy, wz, wish, AIR_ACCELERATION)
        if nz != 0.0:
            p.vel[0], p.vel[1], p.vel[2] = _clip(p.vel[0], p.vel[1], p.vel[2], nx, ny, nz)
        _step_slide(w, p, dt, top, True, nx, ny, nz)
    _find_ground(w, p, top, falling)
    for k in range(3):
        p.vel[k] = np.rint(p.vel[k])
